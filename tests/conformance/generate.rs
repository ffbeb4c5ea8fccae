//! Generated cases: one seed, one Dockerfile with its context.
//!
//! What differs by a row of `differences.txt` is left out, or `explained` names the row.

use crate::case::{Case, Entry, Kind};

/// Marsaglia's xorshift of 64 bits.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Seeds that follow each other are to lie far apart; 0 would stay 0.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap();
        usize::try_from((self.next() >> 11) % limit).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const FILES: [(&str, u32, &str); 9] = [
    ("a.txt", 0o644, "a\n"),
    ("b.txt", 0o600, "b\n"),
    ("run.sh", 0o755, "#!/bin/sh\necho OUT script $*\n"),
    ("dir/one.txt", 0o644, "one\n"),
    ("dir/two.log", 0o640, "two\n"),
    ("dir/sub/three.txt", 0o444, "three\n"),
    ("dir/sub/four.md", 0o644, "four\n"),
    ("sp ace.txt", 0o644, "blank\n"),
    (".hidden", 0o644, "hidden\n"),
];

const IGNORED: &[&str] = &[
    "*.log",
    "**/*.log",
    "dir/sub",
    "dir/*",
    "!dir/one.txt",
    "# a comment",
    "",
    "*.md",
    "**/*.md",
    "!**/three.txt",
    "b.*",
    "?.txt",
    ".hidden",
    "/a.txt",
    "./b.txt",
    "dir/../b.txt",
    "nothere",
    "!a.txt",
    "sp*",
];

const WORDS: &[&str] = &[
    "x",
    "two words",
    "$A",
    "${A}",
    "${B:-other}",
    "${B:+set}",
    "${C:-${A}}",
    "$A$B",
    "pre-${A}-post",
    "a=b",
    "1.2.3",
    "é",
    "/path/to",
    "${A:-}",
    "$NOTSET",
    "${NOTSET:-d}",
];

const NAMES: &[&str] = &["A", "B", "C", "LONG_NAME", "x1"];

const DIRECTORIES: &[&str] = &[
    "/w",
    "/w/x",
    "rel",
    "/deep/er/est",
    "/w/$A",
    "/tmp/t",
    "./dot",
    "../up",
];

const OWNERS: &[&str] = &["1", "1:2", "app", "app:app", "1000:0", "root", ":5"];

/// How the names of generated cases begin.
pub(crate) const GENERATED: &str = "generated/";

/// The case of a seed.
pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut dockerfile = Dockerfile {
        random: &mut random,
        text: String::new(),
        stages: Vec::new(),
        user: false,
    };
    dockerfile.write();
    let (text, stages) = (dockerfile.text, dockerfile.stages);
    let mut case = Case::new(&format!("{GENERATED}{seed}"), &text);
    for (path, mode, content) in FILES {
        case.add(path, mode, content);
    }
    case.entries.push(Entry {
        path: "link".to_owned(),
        kind: Kind::Link {
            target: "a.txt".to_owned(),
        },
    });
    case.entries.push(Entry {
        path: "empty".to_owned(),
        kind: Kind::Directory { mode: 0o755 },
    });
    if random.once_in(2) {
        let count = 1 + random.below(4);
        let lines: Vec<_> = (0..count).map(|_| random.one(IGNORED)).collect();
        case.add(".dockerignore", 0o644, &(lines.join("\n") + "\n"));
    }
    for name in NAMES {
        if random.once_in(4) {
            case.settings
                .push(("build-arg".to_owned(), format!("{name}=given {name}")));
        }
    }
    if random.once_in(5) {
        case.settings
            .push(("label".to_owned(), "from=the command line".to_owned()));
    }
    if random.once_in(6) {
        let stage = stages[random.below(stages.len())].clone();
        case.settings.push(("target".to_owned(), stage));
    }
    case
}

struct Dockerfile<'a> {
    random: &'a mut Random,
    text: String,
    stages: Vec<String>,
    /// Steps of this stage run as another user, who may write to few directories.
    user: bool,
}

impl Dockerfile<'_> {
    fn line(&mut self, line: &str) {
        // Instructions may be in small letters, and lines may go on.
        let (word, rest) = line.split_once(' ').unwrap();
        let word = if self.random.once_in(8) {
            word.to_lowercase()
        } else {
            word.to_owned()
        };
        let break_here =
            self.random.once_in(10) && !rest.starts_with(['<', '[']) && !line.contains("<<");
        let between = if break_here {
            " \\\n# a comment between\n    "
        } else {
            " "
        };
        self.text += &format!("{word}{between}{rest}\n");
        if self.random.once_in(12) {
            self.text += "\n# a comment\n";
        }
    }

    fn word(&mut self) -> &'static str {
        self.random.one(WORDS)
    }

    fn quoted(&mut self) -> String {
        let word = self.word();
        match self.random.below(4) {
            0 => format!("'{word}'"),
            1 => word.replace(' ', "\\ "),
            _ => format!("\"{word}\""),
        }
    }

    fn write(&mut self) {
        let global = self.random.once_in(3);
        if global {
            self.line("ARG NAME=base");
            self.line("ARG A=global");
        }
        for number in 0..=self.random.below(3) {
            let name = format!("s{number}");
            let base = match self.random.below(6) {
                0 if number > 0 => format!("s{}", number - 1),
                1 => "scratch".to_owned(),
                2 if global => "@/${NAME}".to_owned(),
                _ => "@/base".to_owned(),
            };
            self.line(&format!("FROM {base} AS {name}"));
            self.stages.push(name);
            self.user = false;
            let runs = base.contains('/');
            for _ in 0..2 + self.random.below(7) {
                self.instruction(runs);
            }
        }
    }

    fn instruction(&mut self, runs: bool) {
        match self.random.below(if runs { 24 } else { 16 }) {
            0 => self.environment(),
            1 => self.argument(),
            2 => self.label(),
            3..=5 => self.copy(),
            6 => self.document(),
            7 => self.workdir(),
            8 => self.metadata(),
            9 => self.command(),
            10 => self.copy_of_a_stage(),
            11 => self.user(),
            12 => self.trigger(),
            13 => self.environment(),
            14 => self.argument(),
            15 => self.metadata(),
            16..=18 => self.say(),
            19 => self.change(),
            20 => self.mount(),
            21 => self.shell(),
            22 => self.script(),
            _ => self.say(),
        }
    }

    fn environment(&mut self) {
        let (name, value) = (self.random.one(NAMES), self.quoted());
        let second = self.quoted();
        match self.random.below(4) {
            0 => self.line(&format!("ENV {name} two words")),
            1 => self.line(&format!("ENV {name}={value} D={second}")),
            _ => self.line(&format!("ENV {name}={value}")),
        }
    }

    fn argument(&mut self) {
        let (name, value) = (self.random.one(NAMES), self.quoted());
        match self.random.below(3) {
            0 => self.line(&format!("ARG {name}")),
            _ => self.line(&format!("ARG {name}={value}")),
        }
    }

    fn label(&mut self) {
        let (first, second) = (self.quoted(), self.quoted());
        let key = self
            .random
            .one(&["k", "org.example.key", "\"quoted key\"", "$A"]);
        self.line(&format!("LABEL {key}={first} other={second}"));
    }

    fn metadata(&mut self) {
        let line = self.random.one(&[
            "EXPOSE 80",
            "EXPOSE 80/tcp 53/udp",
            "EXPOSE 8000-8002",
            "STOPSIGNAL SIGINT",
            "STOPSIGNAL 9",
            "VOLUME /data",
            "VOLUME [\"/a\", \"/b c\"]",
            "HEALTHCHECK NONE",
            "HEALTHCHECK --interval=5s --retries=2 CMD true",
            "HEALTHCHECK CMD [\"/bin/true\", \"x\"]",
            "MAINTAINER some one",
            "EXPOSE $NOTSET 81",
            "VOLUME /v1 /v2",
        ]);
        self.line(line);
    }

    fn command(&mut self) {
        let line = self.random.one(&[
            "CMD [\"a\", \"b $A\"]",
            "CMD echo $A 'x'",
            "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
            "ENTRYPOINT exec run",
            "CMD []",
            "ENTRYPOINT []",
            "CMD [\"unbalanced\"",
            "CMD [ 'single' ]",
        ]);
        self.line(line);
    }

    fn copy(&mut self) {
        let sources = self.random.one(&[
            "a.txt",
            "a.txt b.txt",
            "dir",
            "dir/",
            "dir/*",
            "*.txt",
            "dir/sub/three.txt",
            "?.txt",
            "[ab].txt",
            ".",
            "./dir/../a.txt",
            "link",
            "run.sh dir/one.txt",
            "empty",
            ".hidden",
            "dir/sub",
            "dir/*.txt",
            "/a.txt",
            "nothere.txt",
        ]);
        let target = self.random.one(&[
            "/to/",
            "/to/",
            "/other/",
            "rel/",
            "./",
            "/$A/",
            "/to/deep/er/",
        ]);
        let mut flags = String::new();
        if self.random.once_in(4) {
            flags += &format!("--chown={} ", self.random.one(OWNERS));
        }
        if self.random.once_in(4) {
            flags += &format!(
                "--chmod={} ",
                self.random.one(&["600", "0755", "444", "700"])
            );
        }
        let word = if self.random.once_in(5) {
            "ADD"
        } else {
            "COPY"
        };
        if self.random.once_in(8) {
            self.line(&format!("{word} {flags}[\"sp ace.txt\", \"{target}\"]"));
        } else {
            self.line(&format!("{word} {flags}{sources} {target}"));
        }
    }

    fn document(&mut self) {
        let (word, value) = (
            self.random.one(&["EOF", "'EOF'", "\"EOF\"", "-EOF"]),
            self.word(),
        );
        let flags = self.random.one(&["", "", "--chmod=750 ", "--chown=3:4 "]);
        self.text += &format!(
            "COPY {flags}<<{word} /doc/file\n\t{value} $A ${{B:-b}}\n  quoted: \"$C\" 'x'\nEOF\n"
        );
    }

    fn workdir(&mut self) {
        let directory = self.random.one(DIRECTORIES);
        self.line(&format!("WORKDIR {directory}"));
    }

    fn copy_of_a_stage(&mut self) {
        if self.stages.len() < 2 {
            return self.copy();
        }
        let before = self.random.below(self.stages.len() - 1);
        let stage = if self.random.once_in(2) {
            before.to_string()
        } else {
            self.stages[before].clone()
        };
        let (source, target) = (
            self.random.one(&["/", "/to", "/doc", "/doc/file"]),
            self.random.one(&["/from/", "/from2/"]),
        );
        self.line(&format!("COPY --from={stage} {source} {target}"));
    }

    fn user(&mut self) {
        let user = self
            .random
            .one(&["app", "1000", "1000:1000", "root", "0", "app:app", "4242"]);
        self.user = !["root", "0"].contains(&user);
        self.line(&format!("USER {user}"));
    }

    fn trigger(&mut self) {
        let line = self.random.one(&[
            "RUN echo OUT triggered $A",
            "COPY a.txt /triggered",
            "ENV T=\"$A\"",
            "LABEL t=t",
            "WORKDIR /trig",
            "USER app",
        ]);
        self.line(&format!("ONBUILD {line}"));
    }

    fn say(&mut self) {
        let number = self.random.below(1000);
        let line = match self.random.below(8) {
            0 => "RUN echo \"OUT $A/$B/$C\"".to_owned(),
            1 => format!("RUN echo 'OUT single $A' {number} && echo \"OUT $PWD\""),
            2 => "RUN [\"/bin/sh\", \"-c\", \"echo OUT exec $A $PWD\"]".to_owned(),
            3 => "RUN echo OUT $(id -u):$(id -g) $HOME".to_owned(),
            4 => "RUN echo OUT a; \\\n    echo OUT b # c\n"
                .trim_end()
                .to_owned(),
            5 => "RUN env | grep -E '^(A|B|C|D|T|LONG_NAME|x1|PATH)=' | sed 's/^/OUT /'".to_owned(),
            6 => "RUN ls -a . | sed 's/^/OUT /'".to_owned(),
            _ => format!("RUN echo OUT {number} \\$A \"\\$B\" \\\\"),
        };
        self.line(&line);
        if self.random.once_in(25) {
            self.line("RUN false");
        }
    }

    fn change(&mut self) {
        if self.user {
            return self.say();
        }
        let line = self.random.one(&[
            "mkdir -p /made/deep && echo $A >/made/file",
            "chmod 4755 /bin/run-as && chown 5:6 /etc/motd",
            "ln -s /etc/motd /made-link",
            "rm -rf /etc/motd",
            "mkdir -p /to && rm -rf /to && mkdir -m 1777 /to",
            "mv /etc/motd /etc/moved",
            "rm -rf /opt && mkdir /opt && echo x >/opt/new",
            "echo 1 >/hard1 && ln /hard1 /hard2",
            "chown -R app:app /opt",
            "mkfifo /fifo",
            "umask 077 && touch /private",
        ]);
        self.line(&format!("RUN {line} || true"));
    }

    fn mount(&mut self) {
        let mount = self.random.one(&[
            "--mount=type=bind,target=/ctx ls /ctx/dir",
            "--mount=type=tmpfs,target=/scratch ls /scratch",
            "--mount=type=cache,target=/cache echo",
            "--mount=target=/ctx,source=dir ls /ctx",
            "--mount=type=bind,source=dir,target=/ctx,ro cat /ctx/one.txt",
        ]);
        self.line(&format!("RUN {mount} | sed 's/^/OUT /'"));
    }

    fn shell(&mut self) {
        let line = self.random.one(&[
            "SHELL [\"/bin/sh\", \"-ec\"]",
            "SHELL [\"/bin/ash\", \"-c\"]",
            "SHELL [\"/bin/sh\", \"-o\", \"pipefail\", \"-c\"]",
        ]);
        self.line(line);
    }

    fn script(&mut self) {
        let (word, name) = (
            self.random.one(&["EOF", "'EOF'", "-EOF", "\"EOF\""]),
            self.random.one(NAMES),
        );
        let (before, after) =
            [("", ""), ("cat ", " | sed 's/^/OUT /'"), ("sh ", "")][self.random.below(3)];
        self.text += &format!(
            "RUN {before}<<{word}{after}\n\techo \"OUT ${name}\"\n  echo 'OUT $A' \\$B\nEOF\n"
        );
    }
}

#[test]
fn a_seed_makes_the_same_case_each_time() {
    for seed in 0..200 {
        assert_eq!(case(seed), case(seed));
        assert_eq!(
            crate::case::parse(&case(seed).text()).unwrap(),
            [case(seed)],
            "{seed}"
        );
    }
    assert_ne!(case(1).entries, case(2).entries);
}
