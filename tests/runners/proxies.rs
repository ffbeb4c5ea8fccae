//! A proxy that the container names: everybody in the job goes through it.

use support::run_in_a_pod;

/// A proxy that logs the requested hosts, and the programs of a job. The hosts do not exist, so only a proxy can receive the requests.
const JOB: &str = r#"
    cat >"$TMPDIR/proxy.js" <<'JS'
    const asked = (request, socket) => { console.log('asked for ' + request.url); socket.end('HTTP/1.1 502 No\r\n\r\n'); };
    require('http').createServer().on('connect', asked).listen(3128, '127.0.0.1', () => console.log('listening'));
JS
    node "$TMPDIR/proxy.js" >"$TMPDIR/proxy.log" &
    until grep -q listening "$TMPDIR/proxy.log"; do sleep 0.05; done
    curl -s https://curl.invalid/
    git ls-remote https://git.invalid/r 2>/dev/null
    buildah pull --retry 0 docker://buildah.invalid/x:y >/dev/null 2>&1
    curl -s https://direct.invalid/
    grep asked "$TMPDIR/proxy.log"
    echo "node: $NODE_USE_ENV_PROXY"
    kill %1
"#;

#[test]
fn curl_git_buildah_and_node_go_through_the_containers_proxy() {
    let proxy = "--env=HTTPS_PROXY=http://127.0.0.1:3128";
    let flags = [
        "--user=1000:1000",
        "--mount=type=tmpfs,destination=/workspace,tmpfs-mode=0750,U=true",
        "--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true",
        "--env=SUPERVISOR_STORAGE__DRIVER=vfs",
        "--env=SUPERVISOR_PREFLIGHT__ENABLED=false",
        proxy,
        "--env=NO_PROXY=direct.invalid",
    ];
    let command = ["run", "--flavor", "exec", "--", "bash", "-c", JOB];
    let output = run_in_a_pod(&flags, &command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    for program in ["curl", "git", "buildah"] {
        let asked = format!("asked for {program}.invalid:443\n");
        assert!(said.contains(&asked), "{said}");
    }
    assert!(!said.contains("asked for direct.invalid"), "{said}");
    // Debian's node is too old to be asked for a proxy: the one in GitHub's runner is not.
    assert!(said.contains("node: 1\n"), "{said}");
}
