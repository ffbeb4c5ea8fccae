# shellcheck shell=bash
# The job's copy of the repository: what is committed and what is not, without what git ignores.
#
# The repository may be a stranger's. Nothing that it says is run: git never works in it with filters or hooks, and what is
# copied lies in its work tree, whatever its index and its symlinks claim.

# stage_repository: copies what the job sees to $RUN/repository.
stage_repository() {
    local stage="$RUN/repository" source git_directory
    # The dot keeps a newline at the name's end.
    source=$(cd -- "${REPOSITORY:-$ROOT/tests/fixtures/example}" && pwd -P && echo .)
    source=${source%$'\n.'}
    mkdir "$stage"
    # It belongs to someone else when root runs this.
    printf '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[user]\n\tname = ci-cd-agents\n\temail = ci-cd-agents@localhost\n' \
        >"$RUN/gitconfig"
    if [[ -e $source/.git || -L $source/.git ]]; then
        find_git_directory "$source" git_directory
        stage_work_tree "$source" "$git_directory" "$stage"
    else
        [[ -z $REPOSITORY ]] || warn "$source is not the top of a git work tree; the job gets a copy with one commit of everything in it."
        stage_directory "$source" "$stage"
    fi
    say "    $source at $(plain_git -C "$stage" rev-parse --short HEAD)"
    as_root chown -R "$RUNNER_ID:$RUNNER_ID" "$stage"
}

plain_git() {
    GIT_CONFIG_GLOBAL="$RUN/gitconfig" GIT_CONFIG_NOSYSTEM=1 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=file GIT_TERMINAL_PROMPT=0 \
        git -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"
}

# ── A git work tree ─────────────────────────────────────────────────────────────────────────────────────────────────

# find_git_directory SOURCE VARIABLE: the directory that SOURCE/.git is or names, provided that it belongs to SOURCE.
find_git_directory() {
    local -n found=$2
    found="$1/.git"
    [[ ! -L $found ]] || die 66 "$found is a symlink; give the repository that it leads to."
    if [[ -d $found ]]; then
        [[ ! -e $found/commondir ]] || die 66 "$found names another repository as its own (commondir)."
        return
    fi
    # A linked work tree or a submodule: whoever made it wrote down where it belongs.
    found=$(sed -n '1s/^gitdir: //p' "$found")
    [[ $found == /* ]] || found="$1/$found"
    [[ -d $found ]] || die 66 "$1/.git does not lead to a git directory."
    found=$(cd -- "$found" && pwd -P)
    belongs_to "$found" "$1" || die 66 "$1/.git leads to $found, which belongs to another work tree."
}

# belongs_to GIT-DIRECTORY SOURCE
belongs_to() {
    local top
    if [[ -f $1/gitdir ]]; then
        [[ $(readlink -f -- "$(cat -- "$1/gitdir")") == "$2/.git" ]]
        return
    fi
    top=$(plain_git config --file "$1/config" --no-includes core.worktree) || return 1
    [[ $(cd -- "$1" && readlink -f -- "$top") == "$2" ]]
}

# A clone rather than a copy: hooks, credentials in the configuration, links to other repositories and what no branch or tag
# leads to stay behind.
stage_work_tree() {
    local source=$1 git_directory=$2 stage=$3 origin
    plain_git clone --quiet --no-checkout --no-local -- "$source" "$stage" 2>"$RUN/clone.log" ||
        die 66 "git could not copy $source: $(tail -n 1 "$RUN/clone.log")"
    plain_git -C "$stage" remote remove origin
    # act takes the repository's name from its origin; a password in that URL is not the job's business.
    origin=$(plain_git --git-dir="$git_directory" config --no-includes remote.origin.url |
        sed -E 's#^([A-Za-z0-9+.-]+://)[^/]*@#\1#' || true)
    [[ -z $origin || $origin == -* ]] || plain_git -C "$stage" config remote.origin.url "$origin"
    copy_work_tree "$source" "$git_directory" "$stage" || die 66 "the work tree of $source could not be copied."
    if plain_git -C "$stage" rev-parse --quiet --verify HEAD >/dev/null; then
        plain_git -C "$stage" reset --quiet
    else
        warn "$source has no commit yet; the copy gets one."
        commit_all "$stage"
    fi
}

# Tracked files as they are now, those of submodules too, and new files that are not ignored.
copy_work_tree() {
    local source=$1
    local list=(plain_git --git-dir="$2" --work-tree="$source" -C "$source" ls-files -z)
    { "${list[@]}" --cached --recurse-submodules && "${list[@]}" --others --exclude-standard; } |
        only_within "$source" |
        tar -C "$source" --create --null --no-recursion --files-from=- |
        tar -C "$3" --extract --no-same-owner
}

# only_within SOURCE: passes the names on that lie in SOURCE itself. An index can name anything, and a directory can have
# become a symlink since; a file can be deleted and the deletion not committed.
only_within() {
    local file
    shopt -s nocasematch
    while IFS= read -r -d '' file; do
        case /$file in
            //* | */../* | */.. | */.git/* | */.git) warn "$1: the name ${file@Q} is left out." ;;
            */) warn "$1: $file is a repository of its own and is left out." ;;
            *) if [[ -e $1/$file || -L $1/$file ]] && ! beyond_symlink "$1" "$file"; then printf '%s\0' "$file"; fi ;;
        esac
    done
}

# beyond_symlink DIRECTORY NAME
beyond_symlink() {
    local path=$2
    while [[ $path == */* ]]; do
        path=${path%/*}
        [[ ! -L $1/$path ]] || return 0
    done
    return 1
}

# ── Any other directory ─────────────────────────────────────────────────────────────────────────────────────────────

# Everything but what git keeps for itself, which is not this directory's to say.
stage_directory() {
    tar -C "$1" --create --exclude=.git . | tar -C "$2" --extract --no-same-owner ||
        die 66 "$1 could not be copied."
    plain_git -C "$2" init --quiet
    commit_all "$2"
}

commit_all() {
    plain_git -C "$1" add --all --force
    plain_git -C "$1" commit --quiet --allow-empty --message "Local run"
}
