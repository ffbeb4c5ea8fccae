//! Dockerfiles that Buildah reads otherwise than Docker: the images are those that Docker would have made.

use crate::fixture::{Fixture, Program, REGISTRY};

const BASE: &str = "FROM 127.0.0.1:5000/base:trixie\n";

impl Fixture {
    /// Writes a file into a directory of the test.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        let directory = path.parent().unwrap().display().to_string();
        let quoted = content.replace('\'', r"'\''");
        let script = format!(
            "mkdir -p {directory} && printf %s '{quoted}' >{}",
            path.display()
        );
        let made = self.inside(&["sh", "-c", &script]);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }

    /// Builds the context of that name. Returns what the steps printed.
    fn build(&self, context: &str, flags: &[&str]) -> String {
        let directory = self.path(context).display().to_string();
        let mut line = vec!["build", "--progress=plain"];
        line.extend(flags);
        line.push(&directory);
        let ran = self.run(Program::Docker, &line);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.stdout + &ran.stderr
    }

    /// Returns a file of an image that was built.
    pub(crate) fn file_of(&self, image: &str, file: &str) -> String {
        let name = format!("read-{}", image.replace([':', '/'], "-"));
        let text = format!("FROM {image} AS a\nFROM scratch\nCOPY --from=a {file} /out\n");
        self.write(&format!("{name}/Dockerfile"), &text);
        let target = self.path(&format!("{name}-files")).display().to_string();
        self.build(&name, &["-o", &target]);
        self.read(&format!("{name}-files/out"))
    }

    /// Checks that a Dockerfile is refused at this line, before its first step.
    fn refuses(&self, lines: &str, line: usize, because: &str) {
        self.write(
            "refused/Dockerfile",
            &format!("{BASE}RUN echo began\n{lines}"),
        );
        let directory = self.path("refused").display().to_string();
        let ran = self.run(Program::Docker, &["build", &directory]);
        let said = ran.stdout + &ran.stderr;
        assert_eq!(ran.code, 125, "{lines}: {said}");
        let place = format!("line {line}: ");
        assert!(
            said.contains(&place) && said.contains(because),
            "{lines}: {said}"
        );
        assert!(!said.contains("began"), "{said}");
    }
}

#[test]
fn a_changed_body_or_file_is_no_cached_step() {
    let fixture = Fixture::start("identity");
    for word in ["one", "two"] {
        let text = format!(
            "{BASE}AS src\nCOPY v /v\n{BASE}ARG MODE=x\nRUN <<EOF\necho {word} >/word\nEOF\n\
             RUN --mount=target=/ctx cp /ctx/v /from-context\n\
             RUN --mount=from=src,source=/v,target=/v cp /v /from-stage\n\
             RUN cat /word /from-context /from-stage >/all\n"
        );
        let text = text.replace("trixie\nAS", "trixie AS");
        fixture.write("c/Dockerfile", &text);
        fixture.write("c/v", &format!("v{word}"));
        let image = format!("{REGISTRY}/identity:{word}");
        fixture.build("c", &["-t", &image, "--push"]);
        assert_eq!(
            fixture.file_of(&image, "/all"),
            format!("{word}\nv{word}v{word}")
        );
    }
    // A step without another stage's files is found again.
    let text = format!("{BASE}ARG MODE=x\nRUN <<EOF\ndate +%N >/n\nEOF\n");
    fixture.write("same/Dockerfile", &text);
    let images = ["same:1", "same:2"].map(|image| {
        fixture.build("same", &["-t", image]);
        fixture.file_of(image, "/n")
    });
    assert_eq!(images[0], images[1]);
}

#[test]
fn steps_see_what_docker_gives_them() {
    let fixture = Fixture::start("steps");
    fixture.write("c/data/d", "d");
    fixture.write("npmrc", "x");
    fixture.write(
        "c/Dockerfile",
        &format!(
            "# syntax=docker/dockerfile:1\nARG BUILDPLATFORM=linux/amd64\n{}\
             RUN <<EOF\n#!/usr/bin/env bash\nset -euo pipefail\n[[ 1 == 1 ]] && echo OUT by bash\nEOF\n\
             WORKDIR /work\n\
             RUN --mount=type=bind,target=.,rw=true touch new && echo OUT rw\n\
             RUN --mount=type=bind,target=.,ro=true ls && echo OUT ro\n\
             ARG D=data TARGETARCH=other W\n\
             RUN --mount=type=bind,source=${{D}},target=/x cat /x/d && echo OUT variable $TARGETARCH\n\
             RUN --mount=type=secret,id=tok,env=TOK,target=/y test \"$TOK\" = hunter2 -a -s /y && echo OUT secret\n\
             RUN --mount=type=secret,target=/root/.npmrc grep -q x /root/.npmrc && echo OUT target\n\
             ENV M=a${{W-d}}b${{D+set}}c${{D:?msg}}d${{D%ta}}\nRUN echo \"OUT $M\"\n\
             COPY --link <<EOF /n\n'$D' \\$uri it's\nEOF\nRUN echo \"OUT $(cat /n)\"\n\
             COPY --parents data/d /parents/\nRUN echo \"OUT $(cd /parents && echo * data/*)\"\n\
             EXPOSE 53/tcp 8000-8001\nEXPOSE 53/udp\n",
            BASE.replace("FROM", "FROM --platform=$BUILDPLATFORM")
        ),
    );
    let npmrc = format!("id=.npmrc,src={}", fixture.path("npmrc").display());
    let said = fixture.build(
        "c",
        &[
            "-t",
            "steps:1",
            "--secret",
            "id=tok,env=TOKEN",
            "--secret",
            &npmrc,
        ],
    );
    for line in [
        "by bash",
        "rw",
        "ro",
        "variable other",
        "secret",
        "target",
        "adbsetcdatadda",
        "'data' $uri it's",
        "data data/d",
    ] {
        let line = format!("OUT {line}");
        assert!(
            said.lines().any(|said| said.ends_with(&line)),
            "{line}: {said}"
        );
    }
    let ports = fixture.docker(&[
        "inspect",
        "--format",
        "{{json .Config.ExposedPorts}}",
        "steps:1",
    ]);
    for port in ["53/tcp", "53/udp", "8000/tcp", "8001/tcp"] {
        assert!(ports.contains(&format!("\"{port}\"")), "{ports}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_the_first_step() {
    let fixture = Fixture::start("refused");
    fixture.refuses("ENV D=${U:?must be set}\n", 3, "U: must be set");
    fixture.refuses("RUN --network=none true\n", 3, "the pod's network");
    fixture.refuses(
        "COPY --chmod=u=rwX,go=rX Dockerfile /d\n",
        3,
        "an octal number",
    );
    fixture.refuses(
        "COPY --parents a/./b c /w/\n",
        3,
        "one COPY for each source",
    );
    fixture.refuses("\nADD https://a.example/r.git /r\n", 4, "no Git repository");
    fixture.refuses("ADD --unpack a /w/\n", 3, "unpack a download in a RUN");
    fixture.refuses(
        "RUN --mount=type=secret,id=t,env=T [\"true\"]\n",
        3,
        "read the file",
    );
}

#[test]
fn ignored_files_stay_out_and_files_taken_back_come_in() {
    let fixture = Fixture::start("ignored");
    let files = |context: &str, flags: &[&str]| {
        let target = fixture
            .path(&format!("{context}-out"))
            .display()
            .to_string();
        let mut line = vec!["-o", &target];
        line.extend(flags);
        fixture.build(context, &line);
        let list = format!("cd {target} && find . -type f | LC_ALL=C sort | tr '\\n' ' '");
        fixture.inside(&["sh", "-c", &list]).stdout
    };
    for name in ["secret.txt", "other", "x/D"] {
        fixture.write(&format!("d/{name}"), "FROM scratch\nCOPY . /\n");
    }
    fixture.write(
        "d/.dockerignore",
        "secret.txt\nDockerfile\n.*ignore\nContainerfile\nx\n",
    );
    fixture.write("d/.containerignore", "other\n");
    fixture.write("d/Containerfile", "FROM scratch\n");
    fixture.write("d/Dockerfile", "FROM scratch\nCOPY . /\n");
    assert_eq!(files("d", &[]), "./other ");
    for name in [
        "root.go",
        "b/k.go",
        "b/k.c",
        "src/main.go",
        "src/deep/u.go",
        "none/x.c",
    ] {
        fixture.write(&format!("allow/{name}"), "x");
    }
    fixture.write("allow/.dockerignore", "*\n!**/*.go\n");
    fixture.write("allow/Dockerfile", "FROM scratch\nCOPY . /x\nCOPY src /y\n");
    assert_eq!(
        files("allow", &[]),
        "./x/b/k.go ./x/root.go ./x/src/deep/u.go ./x/src/main.go ./y/deep/u.go ./y/main.go "
    );
}
