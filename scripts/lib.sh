# shellcheck shell=bash
# What the scripts share, a part a subject in lib/. Sourced, never run. Everything it prints goes to stderr, so that stdout
# stays the job's.

set -euo pipefail

# The parsers below expect one locale. Some users' PATH lacks the administrator's programs.
export LC_ALL=C.UTF-8
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The caller's shell or git hook may have set these for another directory.
unset CDPATH
mapfile -t LOCAL_VARIABLES < <(git rev-parse --local-env-vars 2>/dev/null || true)
unset "${LOCAL_VARIABLES[@]}" LOCAL_VARIABLES

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Downloads and build results that a later start finds again; one place, ignored by git, gone with `rm -r target`.
# shellcheck disable=SC2034 # for the parts
CACHE="$ROOT/target/ci-cd-agents"

# shellcheck source=scripts/lib/messages.sh
source "$ROOT/scripts/lib/messages.sh"
# shellcheck source=scripts/lib/arguments.sh
source "$ROOT/scripts/lib/arguments.sh"
# shellcheck source=scripts/lib/processes.sh
source "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/packages.sh
source "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/engine.sh
source "$ROOT/scripts/lib/engine.sh"
# shellcheck source=scripts/lib/debian.sh
source "$ROOT/scripts/lib/debian.sh"
# shellcheck source=scripts/lib/images.sh
source "$ROOT/scripts/lib/images.sh"
# shellcheck source=scripts/lib/runners.sh
source "$ROOT/scripts/lib/runners.sh"
# shellcheck source=scripts/lib/toolchain.sh
source "$ROOT/scripts/lib/toolchain.sh"
# shellcheck source=scripts/lib/build.sh
source "$ROOT/scripts/lib/build.sh"
