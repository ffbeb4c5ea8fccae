//! Certificates of the user's own: one setting, and everybody in the job trusts them.

use std::fs;
use std::process::Command;

use support::run_in_a_pod;
use tempfile::TempDir;

/// A web server with a certificate of an unknown issuer, and four programs that connect to it.
const JOB: &str = r#"
    cat >"$TMPDIR/server.js" <<'JS'
    const {readFileSync} = require('fs');
    const own = {key: readFileSync('/own/key.pem'), cert: readFileSync('/own/cert.pem')};
    require('https').createServer(own, (request, response) => {
        if (request.url.startsWith('/r/info/refs')) return response.end('1234567890123456789012345678901234567890\trefs/heads/main\n');
        response.statusCode = request.url.startsWith('/v2/x') ? 404 : 200;
        response.end('{}');
    }).listen(8443, '127.0.0.1', () => console.log('listening'));
JS
    node "$TMPDIR/server.js" >"$TMPDIR/server.log" &
    until grep -q listening "$TMPDIR/server.log"; do sleep 0.05; done
    url=https://127.0.0.1:8443
    say() { echo "$1: $2"; }
    curl -s "$url/" >/dev/null && say curl trusts || say curl refuses
    git ls-remote "$url/r" 2>/dev/null | grep -q refs/heads/main && say git trusts || say git refuses
    node -e "fetch('$url/').then(() => process.exit(0), () => process.exit(1))" && say node trusts || say node refuses
    buildah pull "docker://127.0.0.1:8443/x:y" 2>&1 | grep -q x509 && say buildah refuses || say buildah trusts
    grep -c BEGIN "${SSL_CERT_FILE:-/dev/null}" | sed 's/^/certificates: /'
    kill %1
"#;

fn own() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    for path in [directory.path(), &directory.path().join("key.pem")] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, open).unwrap();
    }
    directory
}

/// Runs the job in a pod, and returns its output.
fn output_of(own: &TempDir, settings: &[&str]) -> String {
    let volume = format!("--volume={}:/own:ro", own.path().display());
    let mut flags = vec![
        "--user=1000:1000",
        "--mount=type=tmpfs,destination=/workspace,tmpfs-mode=0750,U=true",
        "--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true",
        "--env=SUPERVISOR_STORAGE__DRIVER=vfs",
        "--env=SUPERVISOR_PREFLIGHT__ENABLED=false",
        &volume,
    ];
    flags.extend(settings);
    let output = run_in_a_pod(
        &flags,
        &["run", "--flavor", "exec", "--", "bash", "-c", JOB],
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn trust_the_users_certificates_only_once_they_are_named() {
    let own = own();
    let programs = ["curl", "git", "node", "buildah"];
    let said = output_of(&own, &[]);
    for program in programs {
        assert!(said.contains(&format!("{program}: refuses\n")), "{said}");
    }
    let said = output_of(&own, &["--env=SUPERVISOR_RUNNER__CA_BUNDLE=/own/cert.pem"]);
    for program in programs {
        assert!(said.contains(&format!("{program}: trusts\n")), "{said}");
    }
    // The system's certificates are still in the bundle.
    let count = said
        .split("certificates: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    assert!(count.unwrap().parse::<u32>().unwrap() > 50, "{said}");
}
