# shellcheck shell=bash
# What the job left behind: images, the report, the workspace as it is seen from outside.

# Looked at from outside, whatever the supervisor says. Sets LEFT to the first of what remains.
look_at_workspace() {
    local volumes=("$VOLUME_PATH")
    [[ $SHAPE == single ]] || volumes+=("$BUILDER_VOLUME_PATH")
    LEFT=$(as_root find "${volumes[@]}" -mindepth 1 -printf '%M %U:%G %P\n' | printable | sed -n 1,20p)
    if [[ -n $LEFT ]] && ((JOB_STATUS == 0)); then JOB_STATUS=75; fi
}

# What a job wrote must not speak to the terminal.
printable() { tr -cd '[:print:]\n'; }

# Sets PUSHED to what the registry holds, NAME:TAG@DIGEST, without the base image that was put there first.
list_pushed() {
    local name tag digest
    PUSHED=()
    while read -r name; do
        while read -r tag; do
            digest=$(registry_digest "$name" "$tag")
            [[ "$name:$tag@$digest" != "$SEEDED_NAME:$SEEDED_TAG@$SEEDED_DIGEST" ]] || continue
            PUSHED+=("$name:$tag@$digest")
        done < <(registry_get "$name/tags/list" | jq -r '.tags // [] | .[]')
    done < <(registry_get '_catalog?n=1000' | jq -r '.repositories // [] | .[]')
}

keep_images() {
    local image name tag
    [[ -n $KEEP_IMAGES ]] || return 0
    for image in "${PUSHED[@]}"; do
        name=${image%%:*} tag=${image#*:} tag=${tag%%@*}
        mkdir -p "$KEEP_IMAGES/$name"
        logged in_network skopeo copy --quiet --all --src-tls-verify=false "docker://$REGISTRY/$name@${image#*@}" \
            "oci:$KEEP_IMAGES/$name:$tag" || warn "$name:$tag could not be fetched back from the registry."
        as_root chown -R "$(id -u):$(id -g)" "$KEEP_IMAGES/$name"
    done
}

# The job's user could write to the report's file too: what it says is only shown.
take_report() {
    REPORT="$RUN/report.json"
    as_root head -c 65536 "$RUN/termination-log" >"$REPORT"
    if [[ ! -s $REPORT ]]; then
        warn "the supervisor left no report."
        return
    fi
    [[ -z $KEEP_REPORT ]] || cp -- "$REPORT" "$KEEP_REPORT" || warn "the report could not be copied to $KEEP_REPORT."
    if [[ $SHAPE == split ]]; then
        BUILDER_REPORT="$RUN/builder-report.json"
        as_root head -c 65536 "$RUN/builder-termination-log" >"$BUILDER_REPORT"
        [[ -z $KEEP_REPORT ]] || cp -- "$BUILDER_REPORT" "$KEEP_REPORT.builder" ||
            warn "the builder's report could not be copied to $KEEP_REPORT.builder."
    fi
}

summary() {
    local image milliseconds title
    say ""
    say "Pushed:"
    for image in "${PUSHED[@]}"; do say "  $REGISTRY/$image"; done
    if ((${#PUSHED[@]} == 0)); then
        say "  nothing"
    elif [[ -n $KEEP_IMAGES ]]; then
        say "  kept as OCI layouts in $KEEP_IMAGES"
    fi
    say "Durations:"
    step_table
    while IFS=$'\t' read -r milliseconds title; do
        duration_line "$milliseconds" "  supervisor: $title"
    done < <(report_steps)
    if [[ -n $LEFT ]]; then
        say "Workspace: NOT empty; the first of what remains:"
        say "  ${LEFT//$'\n'/$'\n'  }"
    else
        say "Workspace: empty"
    fi
    say "Exit status of the job: $JOB_STATUS ($(report_reason))"
}

# The supervisor's own steps: milliseconds, tab, name.
report_steps() {
    jq -r '.steps[]? | [(.ms | floor), .step] | @tsv' "$REPORT" 2>/dev/null | tr -cd '[:print:]\t\n' || true
}

# Why the run ended as it did, the storage driver, and what the supervisor has to say about it.
report_reason() {
    jq -rs '[.[0].reason, (map(.storage_driver // empty | select(. != "none")) | first // empty | "storage " + .), (.[0].message // empty)] | join("; ")' \
        "$REPORT" ${BUILDER_REPORT:+"$BUILDER_REPORT"} 2>/dev/null | printable || true
}
