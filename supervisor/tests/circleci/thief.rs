//! A task that looks for the runner's long-lived token, as the same user.

use crate::fake::{Circleci, TOKEN, log};

/// Looks everywhere that the same uid may look. The needle comes as two halves, so that the search does not find itself.
const THIEF: &str = r#"
    exec 2>/dev/null
    first=0123456789abcdef0123456789abcdef; needle=$first$first
    found=
    for p in /proc/[0-9]*; do
        pid=${p#/proc/}
        [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] && continue
        for f in cmdline environ; do
            if tr '\0' '\n' <"$p/$f" | grep -qF "$needle"; then found+="$p/$f "; fi
        done
        # Descriptors of the runner and of PID 1 are closed to us.
        case $(cat "$p/comm") in circleci-runner|supervisor)
            ls "$p/fd" | grep -q . && found+="$p/fd "
            head -c 1 "$p/environ" | grep -q . && found+="$p/environ-readable "
            cat "$p/maps" | grep -q . && found+="$p/maps "
            (exec 7<"$p/mem") && found+="$p/mem "
            readlink "$p/exe" >/dev/null && found+="$p/exe "
        esac
    done
    env | grep -qF "$needle" && found+="environment "
    env | grep -qE '^(SUPERVISOR_|CIRCLECI_RUNNER_)' && found+="variables "
    for d in "$HOME/.." "$TMPDIR" "$XDG_RUNTIME_DIR" /dev/shm; do
        grep -rsqF "$needle" "$d" && found+="$d "
    done
    [ "$(ulimit -Hc)" = 0 ] || found+="core "
    for d in /proc/self/fd/*; do
        case $(readlink "$d") in /dev/null|pipe:*|/proc/*|*/task.sh|'') ;; *) found+="$(readlink "$d") " ;; esac
    done
    echo "found: $found" >>"$FAKE_CIRCLECI/log"
"#;

#[test]
fn a_thief_in_the_tasks_place_finds_nothing() {
    let ended = Circleci::new().task(THIEF).run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let said = log(&ended.fixture);
    assert!(said.contains("\nfound: \n"), "{said}");
    assert!(!ended.stderr.contains(TOKEN) && !ended.stdout.contains(TOKEN));
    assert!(!ended.stderr.contains("execute-only"), "{}", ended.stderr);
}

#[test]
fn hides_the_token_of_a_runner_that_keeps_its_file_open() {
    let circleci = Circleci::new().task(THIEF);
    std::fs::write(circleci.file("keep-open"), "").unwrap();
    let ended = circleci.run();
    let said = log(&ended.fixture);
    assert!(said.contains("\nfound: \n"), "{said}");
}

#[test]
fn warns_of_a_readable_runner_that_the_thief_finds() {
    let ended = Circleci::new().program_mode(0o555).task(THIEF).run();
    let said = log(&ended.fixture);
    assert!(said.contains("/mem ") && said.contains("/fd "), "{said}");
    assert!(
        ended.stderr.contains("make it execute-only"),
        "{}",
        ended.stderr
    );
}
