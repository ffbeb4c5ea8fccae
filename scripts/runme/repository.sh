# shellcheck shell=bash
# The job's copy of the repository: what is committed and what is not, without what git ignores.

# stage_repository: copies what the job sees to $RUN/repository.
stage_repository() {
    local stage="$RUN/repository" source
    source=$(cd "${REPOSITORY:-$ROOT/tests/fixtures/example}" && pwd -P)
    mkdir "$stage"
    # The repository belongs to someone else when root runs this; nothing that its configuration names is run.
    printf '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[user]\n\tname = ci-cd-agents\n\temail = ci-cd-agents@localhost\n' \
        >"$RUN/gitconfig"
    if [[ $(plain_git -C "$source" rev-parse --show-toplevel 2>/dev/null) == "$source" ]]; then
        stage_work_tree "$source" "$stage"
    else
        [[ -z $REPOSITORY ]] || warn "$source is not the top of a git work tree; the job gets a copy with one commit of everything in it."
        cp -a -- "$source/." "$stage"
        plain_git -C "$stage" init --quiet
        commit_all "$stage"
    fi
    say "    $source at $(plain_git -C "$stage" rev-parse --short HEAD)"
    as_root chown -R "$RUNNER_ID:$RUNNER_ID" "$stage"
}

plain_git() {
    GIT_CONFIG_GLOBAL="$RUN/gitconfig" GIT_CONFIG_NOSYSTEM=1 git -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"
}

commit_all() {
    plain_git -C "$1" add --all --force
    plain_git -C "$1" commit --quiet --message "Local run"
}

# A clone rather than a copy of .git: hooks, credentials in the configuration and links to other repositories stay behind.
stage_work_tree() {
    local source=$1 stage=$2 origin
    plain_git clone --quiet --no-checkout --no-hardlinks "$source" "$stage" 2>"$RUN/clone.log" ||
        die 66 "git could not copy $source: $(tail -n 1 "$RUN/clone.log")"
    # act takes the repository's name from its origin; a password in that URL is not the job's business.
    origin=$(plain_git -C "$source" config remote.origin.url | sed -E 's#^([a-z+]+://)[^/@]*@#\1#' || true)
    if [[ -n $origin ]]; then
        plain_git -C "$stage" remote set-url origin "$origin"
    else
        plain_git -C "$stage" remote remove origin
    fi
    copy_work_tree "$source" "$stage"
    if plain_git -C "$stage" rev-parse --quiet --verify HEAD >/dev/null; then
        plain_git -C "$stage" reset --quiet
    else
        warn "$source has no commit yet; the copy gets one."
        commit_all "$stage"
    fi
}

# Tracked files as they are now, those of submodules too, and new files that are not ignored.
copy_work_tree() {
    {
        plain_git -C "$1" ls-files -z --cached --recurse-submodules
        plain_git -C "$1" ls-files -z --others --exclude-standard
    } | while IFS= read -r -d '' file; do
        # A file may be deleted and the deletion not committed.
        if [[ -e $1/$file || -L $1/$file ]]; then printf '%s\0' "$file"; fi
    done | tar -C "$1" --create --null --no-recursion --files-from=- | tar -C "$2" --extract --no-same-owner
}
