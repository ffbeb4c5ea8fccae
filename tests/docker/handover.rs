//! Contexts, Dockerfiles, keys and outputs that only the job can read or write.

use crate::fixture::{Fixture, Ran};

const DOCKERFILE: &str = "FROM scratch\nCOPY data /data\n";

/// Runs a script of the job in a new directory outside of the workspace, with a small context in it.
fn run(name: &str, script: &str) -> Ran {
    let fixture = Fixture::start(name);
    let directory = fixture.path("work").display().to_string();
    let script = format!(
        "set -e; t=$(mktemp -d -p /tmp); export TMPDIR=/workspace/tmp/{name}; mkdir $TMPDIR; build() {{ docker build -q \"$@\" >/dev/null; }}; mkdir -p {directory} && cd {directory}
         mkdir $t/c $t/c/data; echo one >$t/c/data/f; printf '{DOCKERFILE}' >$t/c/Dockerfile
         {script}
         ls -A $TMPDIR | grep . && exit 9; rm -rf $t"
    );
    let ran = fixture.inside(&["bash", "-c", &script]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn contexts_and_files_lie_anywhere_in_the_job() {
    let ran = run(
        "anywhere",
        r#"
        build -o $t/out $t/c; cat $t/out/data/f
        ln -s $t/c link; build -o type=tar,dest=$t/out.tar link; tar -xOf $t/out.tar data/f
        printf 'FROM scratch\nCOPY --from=c data/f /named\nCOPY mine /\n' >$t/D; echo mine >mine; echo left out >also
        echo also >$t/D.dockerignore; echo 'COPY . /all' >>$t/D
        build -f $t/D --build-context c=$t/c -o $t/named .; cat $t/named/named $t/named/mine; echo $(ls $t/named/all)
        ln -s $PWD absolute; cp $t/c/Dockerfile .; cp -r $t/c/data .; build -o here absolute; cat here/data/f
        "#,
    );
    assert_eq!(
        ran.stdout, "one\none\none\nmine\nlink mine\none\n",
        "{}",
        ran.stderr
    );
}

#[test]
fn standard_input_is_a_dockerfile_or_an_archive() {
    let ran = run(
        "streams",
        r#"
        printf 'FROM scratch\nLABEL a=b\n' | docker build -q - | grep -c sha256
        tar -C $t/c -c . | build -o a -; cat a/data/f
        tar -C $t/c -cz . | build -o b -; cat b/data/f
        mkdir $t/c/docker; mv $t/c/Dockerfile $t/c/docker/D; tar -C $t/c -cz . >$t/c.tgz; build -f docker/D -o d - <$t/c.tgz; cat d/data/f
        printf 'FROM scratch\nCOPY . /\n' | build -o e - ; ls -A e
        ln -s /etc/hostname $t/c/data/link; tar -C $t/c -c . | build -f docker/D -o f -; readlink f/data/link
        tar -cP -C $t/c /proc/self/../../etc/hostname | build - || echo refused
        "#,
    );
    assert_eq!(
        ran.stdout, "1\none\none\none\n/etc/hostname\nrefused\n",
        "{}",
        ran.stderr
    );
}

#[test]
fn addresses_secrets_and_agents_of_the_job_are_used() {
    let ran = run(
        "addresses",
        r#"
        tar -C $t/c -c . >$t/c.tar; cd $t; node -e "require('http').createServer((q, s) => s.end(require('fs').readFileSync('.' + q.url))).listen(18431, '127.0.0.1')" & server=$!
        until (: </dev/tcp/127.0.0.1/18431) 2>/dev/null; do sleep 0.05; done; cd - >/dev/null
        build -o a http://127.0.0.1:18431/c.tar; cat a/data/f
        build -f http://127.0.0.1:18431/c/Dockerfile -o b $t/c; cat b/data/f
        kill $server
        node -e "require('net').createServer(s => s.on('data', () => s.write(Buffer.from('000000050c00000000', 'hex')))).listen('$t/agent')" & agent=$!
        until [ -S $t/agent ]; do sleep 0.05; done
        cat >Dockerfile <<'END'
FROM 127.0.0.1:5000/base:trixie
RUN --mount=type=ssh --mount=type=secret,id=s perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; syswrite $s, pack("NC", 1, 11); my $a = ""; 1 while length($a) < 9 && sysread($s, $a, 9, length $a); print unpack("H*", $a)' >/answer && cat /run/secrets/s >>/answer
FROM scratch
COPY --from=0 /answer /
END
        SSH_AUTH_SOCK=$t/agent build --no-cache --ssh default --secret id=s,src=<(echo piped) -o c .; kill $agent; cat c/answer
        "#,
    );
    assert_eq!(
        ran.stdout, "one\none\n000000050c00000000piped\n",
        "{}",
        ran.stderr
    );
}

#[test]
fn a_copied_context_has_no_ignored_files() {
    let ran = run(
        "left-out",
        r#"
        mkdir $t/c/big; truncate -s 20G $t/c/big/file; chmod 555 $t/c/data; printf 'big\nDockerfile\n' >$t/c/.dockerignore
        printf 'FROM scratch\nCOPY . /\n' >$t/c/Dockerfile; touch -d 2001-02-03 $t/c/data/f
        build -o out $t/c; find out -type f | sort; stat -c '%a %y' out/data out/data/f | cut -c-14
        build $t/missing || echo "code $?"; chmod 755 $t/c/data
        "#,
    );
    assert!(
        ran.stdout
            .starts_with("out/.dockerignore\nout/data/f\n555 "),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(ran.stdout.contains("644 2001-02-03"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("code 125\n"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("missing: No such file"),
        "{}",
        ran.stderr
    );
}
