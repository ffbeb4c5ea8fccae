//! What a build sees of its contexts: all but the ignored files, and nothing that it writes there reaches the job.

use crate::{BASE, pod};

/// Returns what steps printed behind `found-`.
fn found(said: &str) -> Vec<&str> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("found-"));
    lines.collect()
}

#[test]
fn steps_see_no_ignored_files_and_are_cached_without_them() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/node_modules/x c/src other; chmod 2750 c/src; touch -d 2001-02-03 c/src/a.go c/src
        echo KEY=1 >c/.env; echo 1 >c/log; touch c/node_modules/x/y c/src/b.c other/kept other/secret
        printf '.env\nlog\nnode_modules\nsrc/*\nDockerfile\n.dockerignore\n!**/*.go\n' >c/.dockerignore; echo secret >other/.dockerignore
        touch -d 2001-02-03 c/src
        cat >c/Dockerfile <<'END'
FROM {BASE}
RUN --mount=type=bind,target=/ctx --mount=type=bind,from=more,target=/more cd /ctx && for f in $(find . | sort) /more/*; do echo found-$f; done && stat -c 'found-%a %y' src && cp -r /ctx /baked
COPY . /copied
COPY --from=more . /copied/more
RUN cd /copied && for f in $(find . -type f | sort); do echo found-copied $f; done; diff -r /copied/src /baked/src
END
        docker build --build-context more=other -t seen c || exit 9
        echo 2 >c/log; touch c/node_modules/x/new; echo other >other/secret
        docker build --build-context more=other c 2>&1 | grep -c 'Using cache'
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(
        found(&done.said),
        [
            ".",
            "./src",
            "./src/a.go",
            "/more/kept",
            "2750 2001-02-03 00:00:00.000000000 +0000",
            "copied ./more/.dockerignore",
            "copied ./more/kept",
            "copied ./src/a.go",
        ],
        "{}",
        done.said
    );
    assert!(done.said.contains("\n4\n"), "{}", done.said);
}

#[test]
fn steps_mount_single_files_and_change_only_their_own_copy() {
    let done = pod().job(&format!(
        r#"
        mkdir -p c/d other; echo '{{}}' >c/package.json; echo o >other/o; echo old >c/d/f; chmod 444 c/d/f
        cat >c/Containerfile <<'END'
FROM {BASE}
WORKDIR /app
RUN --mount=type=bind,source=package.json,target=package.json grep -q . package.json && echo found-a file of the context
RUN --mount=type=bind,from=more,source=o,target=/x grep -q o /x && echo found-a file of a named one
RUN --mount=type=bind,target=/ctx,rw echo new >/ctx/d/f && touch /ctx/made && rm /ctx/package.json && echo found-changes
RUN --mount=type=bind,target=/ctx echo found-$(ls /ctx /ctx/d); cat /ctx/d/f | sed s/^/found-/
RUN --mount=type=bind,target=/ctx touch /ctx/made || echo found-read-only
END
        buildah build --no-cache --build-context more=other c || exit 9
        find c | sort | sed s/^/found-/; cat c/d/f c/package.json | sed s/^/found-/
        "#
    ));
    assert_eq!(done.code, 0, "{}", done.said);
    let mut found = found(&done.said);
    let at = found.iter().position(|line| *line == "c").unwrap();
    assert_eq!(
        found.split_off(at),
        [
            "c",
            "c/Containerfile",
            "c/d",
            "c/d/f",
            "c/package.json",
            "old",
            "{}"
        ],
        "{}",
        done.said
    );
    assert_eq!(
        found,
        [
            "a file of the context",
            "a file of a named one",
            "changes",
            "/ctx: Containerfile d package.json /ctx/d: f",
            "old",
            "read-only"
        ],
        "{}",
        done.said
    );
}

/// The upper directory of a view lies in the operation's own directory.
#[test]
fn nothing_of_a_view_is_left_after_the_build() {
    let done = pod().job(
        "mkdir -p c/d/directory-of-a-view; touch c/d/directory-of-a-view/secret c/d/f; chmod 555 c/d; echo '**/secret' >.dockerignore; cp .dockerignore c
         printf 'FROM scratch\nCOPY d /d\n' >c/Dockerfile; docker build -o out c; find out -name secret; ls out/d",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(
        done.said.ends_with("directory-of-a-view\nf\n")
            || done.said.contains("directory-of-a-view\nf\n"),
        "{}",
        done.said
    );
    assert!(!done.said.contains("secret"), "{}", done.said);
    let left = pod().builder("find /var/lib/builder/operations -name directory-of-a-view");
    assert_eq!(left.said, "");
}
