# shellcheck shell=bash
# Root, and the packages that a machine lacks.

# sudo drops these, and whatever downloads needs them.
KEPT_VARIABLES=http_proxy,https_proxy,ftp_proxy,all_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,FTP_PROXY,ALL_PROXY,NO_PROXY
KEPT_VARIABLES+=,SSL_CERT_FILE,SSL_CERT_DIR,CURL_CA_BUNDLE,TMPDIR,GIT_CONFIG_GLOBAL,GIT_CONFIG_NOSYSTEM
SUDO=(sudo)

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        "${SUDO[@]}" -- "$@"
    fi
}

ROOT_IS_THERE=

require_root() {
    [[ -z $ROOT_IS_THERE ]] || return 0
    ROOT_IS_THERE=yes
    ((EUID != 0)) || return 0
    have sudo || die 77 "$1 needs root: run this script as root, or install sudo and allow it for $(id -un)."
    sudo -v || die 77 "$1 needs root, and sudo refused it to $(id -un)."
    # Not every sudoers file lets a user keep variables.
    if sudo "--preserve-env=$KEPT_VARIABLES" -n true 2>/dev/null; then SUDO+=("--preserve-env=$KEPT_VARIABLES"); fi
    keep_sudo_awake &
    on_exit kill "$!"
}

# A job may take longer than sudo remembers the password, and what is cleaned up after it needs sudo again.
keep_sudo_awake() {
    trap - EXIT
    while sleep 60 && [[ -e /proc/$$ ]]; do sudo -n -v 2>/dev/null || return 0; done
}

have() { command -v "$1" >/dev/null 2>&1; }

MISSING_PACKAGES=()
MISSING_REASONS=()

# need COMMAND PACKAGE WHY
need() {
    have "$1" || need_package "$2" "$3"
}

# need_package_unless COMMAND PACKAGE WHY: where the command fails, the package is missing.
need_package_unless() {
    $1 >/dev/null 2>&1 || need_package "$2" "$3"
}

# need_package PACKAGE WHY: for what the caller has found missing by other means than a command.
need_package() {
    [[ " ${MISSING_PACKAGES[*]} " != *" $1 "* ]] || return 0
    MISSING_PACKAGES+=("$1")
    MISSING_REASONS+=("$2")
}

# Installs what `need` found missing, by name and reason. Touches nothing, not even apt's index, when nothing is missing.
install_missing() {
    local packages=("${MISSING_PACKAGES[@]}") i
    ((${#packages[@]})) || return 0
    for i in "${!packages[@]}"; do
        say "    missing: ${packages[i]} (${MISSING_REASONS[i]})"
    done
    MISSING_PACKAGES=() MISSING_REASONS=()
    have apt-get || die 69 "these packages are missing and there is no apt-get here to install them; install by hand: ${packages[*]}."
    if ((EUID != 0)) && ! have sudo; then
        die 77 "these packages are missing and installing them needs root or sudo; have an administrator run: apt-get install ${packages[*]}."
    fi
    require_root "installing packages"
    keep_services_off "${packages[@]}"
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get update ||
        die 69 "apt-get update failed; install by hand: ${packages[*]}."
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}" ||
        die 69 "apt-get could not install: ${packages[*]}."
}

# Debian starts a service as soon as its package is installed, and docker-registry's listens on every address.
# Only its program is wanted here.
keep_services_off() {
    [[ " $* " == *" docker-registry "* && -d /run/systemd/system ]] || return 0
    as_root systemctl mask --runtime --quiet docker-registry.service
    # The last registered runs first: what is masked cannot be disabled.
    on_exit as_root systemctl disable --now --quiet docker-registry.service
    on_exit as_root systemctl unmask --runtime --quiet docker-registry.service
}
