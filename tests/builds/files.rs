//! Files, secrets and agents that a build is given, and those that it makes.

use crate::{BASE, pod};

#[test]
fn keeps_secrets_of_files_and_variables_out_of_the_image() {
    let done = pod().job(&format!(
        r#"
        printf 'from-a-file' >secret; export TOKEN=from-a-variable
        cat >Containerfile <<'END'
FROM {BASE}
RUN --mount=type=secret,id=one --mount=type=secret,id=two,target=/two,mode=0400 printf '%s and %s.\n' "$(cat /run/secrets/one)" "$(cat /two)"
RUN test ! -e /run/secrets/one
END
        buildah build --no-cache --secret id=one,src=secret --secret id=two,env=TOKEN --tag localhost/secrets . || exit 9
        buildah push --quiet localhost/secrets docker-archive:./image.tar && mkdir x && tar -C x -xf image.tar
        for f in x/*; do {{ gzip -dcf "$f" || cat "$f"; }} 2>/dev/null | grep -a 'from-a-[f]ile' && exit 8; done
        exit 0
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.contains("\nfrom-a-file and from-a-variable.\n"),
        "{}",
        done.said
    );
}

/// An agent without any key answers the request for its identities with none: SSH_AGENT_IDENTITIES_ANSWER.
#[test]
fn an_agent_of_the_jobs_is_asked_by_a_run_step() {
    let done = pod().job(&format!(
        r#"
        node -e "require('net').createServer(s => s.on('data', () => s.write(Buffer.from('000000050c00000000', 'hex')))).listen('agent')" & agent=$!
        until [ -S agent ]; do sleep 0.05; done
        cat >Containerfile <<'END'
FROM {BASE}
RUN --mount=type=ssh perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new($ENV{{SSH_AUTH_SOCK}}) or die; syswrite $s, pack("NC", 1, 11); my $a = ""; 1 while length($a) < 9 && sysread($s, $a, 9, length $a); print "answer ", unpack("H*", $a), "\n"'
END
        SSH_AUTH_SOCK=$PWD/agent buildah build --no-cache --ssh default .; code=$?
        kill $agent; exit $code
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.contains("\nanswer 000000050c00000000\n"),
        "{}",
        done.said
    );
}

#[test]
fn what_a_build_writes_is_the_jobs() {
    let done = pod().job(
        r#"
        mkdir c; echo content >c/file; printf 'FROM scratch\nCOPY file /made\n' >c/Containerfile
        buildah build --iidfile id --output out c || exit 9
        buildah build --output type=tar,dest=out.tar c || exit 8
        buildah build --output - c | tar -t || exit 7
        stat -c '%U %n' id out out/made out.tar; cat out/made; grep -c '^sha256:' id; tar -tf out.tar
        "#,
    );
    assert_eq!(done.code, 0, "{}", done.said);
    for line in [
        "runner id",
        "runner out",
        "runner out/made",
        "runner out.tar",
        "content",
    ] {
        assert!(
            done.said.lines().any(|said| said == line),
            "{line}: {}",
            done.said
        );
    }
}

#[test]
fn what_is_exported_has_the_steps_that_were_cached() {
    let containerfile = format!("FROM {BASE}\nRUN echo made >/made");
    let done = pod().build(
        &containerfile,
        "--layers . && docker build --output one . && buildah build --layers --output two . && cat one/made two/made; true",
    );
    assert!(
        done.said.ends_with("made\nmade\n") || done.said.contains("\nmade\nmade\n"),
        "{}",
        done.said
    );
}

#[test]
fn contexts_arguments_and_ignored_files_are_the_jobs() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/sub other; echo one >c/kept; echo two >c/ignored; echo three >other/file; echo 'ignored' >c/.dockerignore
        cat >c/sub/My.file <<'END'
ARG A
FROM {BASE}
ARG A
ARG B
COPY . /x
COPY --from=more file /y
RUN echo "$A $B $(ls /x | tr "\n" " ")$(cat /y)."; {taken}
END
        cd other; B=inherited buildah build --no-cache --build-arg A=given --build-arg B --build-context more=. --file ../c/sub/My.file ../c
        "#,
        taken = support::taken!()
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.contains("\ngiven inherited kept sub three.\n"),
        "{}",
        done.said
    );
}

#[test]
fn builds_at_the_same_time_exchange_no_files() {
    let done = pod().job(
        r#"
        for i in 1 2 3 4; do
            { echo 'FROM scratch'; for k in {1..30}; do printf 'COPY <<EOF /f%s\nbuild %s\nEOF\n' $k $i; done; } >Containerfile.$i
        done
        for i in 1 2 3 4; do buildah build --no-cache -f Containerfile.$i -o o$i . >log$i 2>&1 & jobs[i]=$!; done
        for i in 1 2 3 4; do wait ${jobs[i]} || cat log$i; cat o$i/f* | sort | uniq -c; done
        "#,
    );
    let lines: Vec<&str> = done.said.lines().map(str::trim).collect();
    let expected = ["30 build 1", "30 build 2", "30 build 3", "30 build 4"];
    assert_eq!(lines, expected, "{}", done.said);
}

#[test]
fn builds_share_their_cache_mounts() {
    let pod = pod();
    let build = |text: &str| {
        let step = format!("RUN --mount=type=cache,id=shared-by-builds,target=/mnt {text}");
        pod.build(&format!("FROM {BASE}\n{step}"), "--no-cache")
    };
    let first = build("cp /bin/true /mnt/program");
    assert_eq!(first.code, 0, "{}", first.said);
    // A cache holds programs, for example those of cargo.
    let second = build("/mnt/program && echo it runs");
    assert_eq!(second.code, 0, "{}", second.said);
    assert!(second.said.contains("it runs"), "{}", second.said);
}
