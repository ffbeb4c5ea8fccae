//! Credentials, the layer cache and the store of images.

use std::os::unix::fs::chown;

use support::{Job, Pod, Registry, run_in_a_pod};

use crate::BASE;

/// `builder:of-the-team`.
const AUTHS: &str = r#"{"auths":{"127.0.0.1:7711":{"auth":"YnVpbGRlcjpvZi10aGUtdGVhbQ=="}}}"#;

#[test]
fn uses_the_jobs_credentials_for_its_own_registry_only() {
    let insecure =
        "SUPERVISOR_STORAGE__INSECURE_REGISTRIES=127.0.0.1:5000,127.0.0.1:7711,127.0.0.1:7712";
    let allow = "SUPERVISOR_BUILDER__PUSH__ALLOW=127.0.0.1:7711/team/*,127.0.0.1:7712/*";
    let pod = Pod::start(&[insecure, allow], AUTHS);
    let network = format!("{}-network", pod.name());
    let _teams = Registry::start(&network, 7711, "builder", "of-the-team");
    let _jobs = Registry::start(&network, 7712, "job", "of-the-job");

    let done = pod.build(
        &format!("FROM {BASE}\nRUN echo private >/private"),
        "--tag 127.0.0.1:7711/team/private:1",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    let done = pod.job("buildah push --digestfile d 127.0.0.1:7711/team/private:1 && cat d && buildah rmi 127.0.0.1:7711/team/private:1");
    assert!(
        done.code == 0 && done.said.contains("sha256:"),
        "{}",
        done.said
    );
    // FROM and --from=, with nothing of it in the storage; a RUN step beside it sees no credentials.
    let done = pod.build(
        "FROM 127.0.0.1:7711/team/private:1\nCOPY --from=127.0.0.1:7711/team/private:1 /private /copied\nRUN cat /copied; ! grep -rsl YnVpbGRl /run /etc /tmp",
        "--no-cache",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.said.contains("\nprivate\n"), "{}", done.said);
    let done = pod.job("docker pull --quiet 127.0.0.1:7711/team/private:1 && curl --silent --fail http://127.0.0.1:7711/v2/team/private/tags/list");
    assert_eq!(done.code, 22, "the job itself is not let in: {}", done.said);

    let push = "buildah push 127.0.0.1:7711/team/private:1 127.0.0.1:7712/mine:1";
    let done = pod.job(push);
    assert_ne!(done.code, 0, "{}", done.said);
    let done = pod.job(&format!(
        "printf of-the-job | docker login --username job --password-stdin 127.0.0.1:7712 && {push} && docker logout 127.0.0.1:7712"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    let done = pod.job(push);
    assert_ne!(done.code, 0, "{}", done.said);
    let done = pod.job(&format!(
        "{push} --creds job:of-the-job 2>/dev/null || buildah push --creds job:of-the-job 127.0.0.1:7711/team/private:1 127.0.0.1:7712/mine:2"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn layers_come_back_from_the_cache_when_the_storage_is_empty() {
    let pod = Pod::start(
        &[
            "SUPERVISOR_BUILDER__CACHE=127.0.0.1:5000/cache",
            "SUPERVISOR_BUILDER__CACHE_WRITE=true",
        ],
        r#"{"auths":{}}"#,
    );
    let containerfile =
        format!("FROM {BASE}\nRUN cat /proc/sys/kernel/random/uuid >/uuid\nRUN cp /uuid /again");
    let uuid = || {
        let done = pod.build(
            &containerfile,
            "--tag localhost/cached . >/dev/null && printf 'FROM localhost/cached\\nRUN cat /again\\n' | buildah build --no-cache --file -",
        );
        assert_eq!(done.code, 0, "{}", done.said);
        done.said
            .lines()
            .find(|line| line.len() == 36)
            .unwrap_or_else(|| panic!("{}", done.said))
            .to_owned()
    };
    let first = uuid();
    let done = pod.job("buildah rmi --all --force && buildah images --quiet");
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(uuid(), first);
}

#[test]
fn uses_images_of_a_read_only_store_without_a_pull() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    chown(directory.path(), Some(1000), Some(1000)).unwrap();
    let (store, workspace) = (directory.path().join("store"), directory.path().join("w"));
    for path in [&store, &workspace] {
        std::fs::create_dir(path).unwrap();
        chown(path, Some(1000), Some(1000)).unwrap();
    }
    let volumes = [
        format!("--volume={}:/store", store.display()),
        format!("--volume={}:/workspace", workspace.display()),
    ];
    let script = "echo in-the-store >file; printf 'FROM scratch\\nCOPY file /file\\n' >Containerfile; buildah --root /store build --tag localhost/stored .";
    let output = run_in_a_pod(
        &[
            &volumes[0],
            &volumes[1],
            "--tmpfs=/tmp",
            "--tmpfs=/var/tmp",
            "--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true",
        ],
        &["run", "--flavor", "exec", "--", "bash", "-c", script],
    );
    assert!(output.status.success(), "{output:?}");
    let script = "printf 'FROM localhost/stored\\nCOPY Containerfile /\\n' >Containerfile; buildah build --pull=never --output out . && cat out/file; \
        buildah rmi --force localhost/stored";
    let ended = Job::shell(script)
        .arguments(&["--image-store", &store.display().to_string()])
        .run();
    assert!(ended.log.contains("\nin-the-store\n"), "{}", ended.log);
    assert_ne!(ended.code(), Some(0), "it cannot be removed: {}", ended.log);
    let count = std::fs::read_dir(store.join("overlay-images"))
        .unwrap()
        .count();
    assert!(count > 1);
}
