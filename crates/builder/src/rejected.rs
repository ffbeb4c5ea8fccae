//! Why the builder refuses a command line. The client prints the text.

use std::path::PathBuf;

use thiserror::Error;

use super::credentials::AuthfileError;
use super::paths::{PathError, SMALL_FILE};
use dockerfile::{DockerfileError, IgnoreError, InvalidReference};
use pflag::ParseError;

/// The most that all private files of one operation hold, in bytes.
pub(crate) const MAX_FILES: usize = 8 * 1024 * 1024;

/// A command line that the builder refuses.
#[derive(Debug, Error)]
pub(crate) enum Rejected {
    #[error(transparent)]
    Flag(#[from] ParseError),
    #[error(
        "{0} is not among the flags that the builder accepts for this command; docs/builds.md lists all flags"
    )]
    UnknownFlag(String),
    #[error("--{flag} is not available: {reason}")]
    RefusedFlag {
        flag: &'static str,
        reason: &'static str,
    },
    #[error("buildah {verb} is not available, because {reason}; use {instead}")]
    UnsupportedVerb {
        verb: &'static str,
        reason: &'static str,
        instead: &'static str,
    },
    #[error("the builder has no command {0}; docs/builds.md lists all commands")]
    UnknownVerb(String),
    #[error(transparent)]
    Image(#[from] InvalidReference),
    #[error("builder.cache: {0}")]
    Cache(InvalidReference),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error(transparent)]
    Authfile(#[from] AuthfileError),

    #[error("expected {0}")]
    Arguments(&'static str),
    #[error("standard input has more than {} MiB", SMALL_FILE >> 20)]
    InputTooLarge,
    #[error(
        "Containerfiles, secrets and the like of one build have more than {} MiB",
        MAX_FILES >> 20
    )]
    FilesTooLarge,

    #[error("invalid registry {0:?}: expected HOST[:PORT][/PATH]")]
    Registry(String),
    #[error(
        "login needs a password, and cannot prompt for it here: use --username and --password-stdin"
    )]
    NoPassword,
    #[error("login needs --username")]
    NoUsername,
    #[error("--creds needs an image")]
    CredsWithoutImage,
    #[error(
        "--tls-verify=false is not available for {0}: any server could answer and would get the builder's credentials; storage.insecure_registries is for registries of your own"
    )]
    Unverified(String),
    #[error(
        "--tls-verify=false is not available in a build with builder.cache: any server could answer for {0} and would get the builder's credentials; pull the images beforehand with `buildah pull --tls-verify=false`"
    )]
    UnverifiedCache(String),
    #[error(
        "pushing to {0} is not allowed: it is builder.cache, from which the builds of other jobs take their layers"
    )]
    PushToCache(String),
    #[error("pushing to {target} is not allowed: builder.push.allow has {allowed}")]
    PushNotAllowed { target: String, allowed: String },

    #[error(
        "the context {0} is not available: the builder takes a directory beneath the workspace; check it out there first"
    )]
    RemoteContext(String),
    #[error("--build-context {0}: expected NAME=SOURCE")]
    BuildContext(String),
    #[error("--build-context {0}: the builder fetches no contexts; fetch it beforehand")]
    RemoteBuildContext(String),
    #[error(
        "--build-arg-file {path}, line {line}: there is no value; use --build-arg NAME for a variable of the job"
    )]
    ArgumentWithoutValue { path: String, line: usize },
    #[error("there is no Containerfile or Dockerfile in {}", .0.display())]
    NoContainerfile(PathBuf),
    #[error("--file {0}: the builder fetches no Containerfiles; fetch it beforehand")]
    RemoteContainerfile(String),
    #[error(
        "--file {0}: the C preprocessor would read any file that the builder sees; run it beforehand"
    )]
    Preprocessor(String),
    #[error("there is no {0}")]
    NoIgnoreFile(String),
    #[error("{}, {source}", path.display())]
    IgnoreFile { path: PathBuf, source: IgnoreError },
    #[error("--secret needs id=NAME")]
    SecretWithoutId,
    #[error("--secret id={0}: there is neither a file nor a variable of that name")]
    NoSecret(String),
    #[error("--ssh {0}: SSH_AUTH_SOCK is not set; start ssh-agent, or name a key")]
    NoAgent(String),
    #[error("--ssh {0}: expected at most 64 keys")]
    TooManyKeys(String),
    #[error("--output {0}: expected dest=PATH")]
    OutputDestination(String),
    #[error("--output type={0} is not available; use type=tar or type=local")]
    OutputType(String),
    #[error(
        "--network={0} is not available: RUN steps have the pod's network, and the builder has no right to make another one"
    )]
    Network(String),
    #[error(
        "several platforms are not available with images that are pulled with the builder's credentials: build each with a --platform of its own, and combine them with `buildah manifest add`"
    )]
    SeveralPlatforms,

    #[error("expected a greeting as the client's first frame")]
    NoGreeting,
    #[error("no greeting: {0}")]
    Unreadable(std::io::Error),
    #[error("the client's greeting is not one of a build client")]
    NotAClient,
    #[error(
        "the client has version {}.{} of the build protocol and the builder {}.{}: use the runner and the builder image of one release",
        client.0, client.1, builder.0, builder.1
    )]
    Version {
        client: (u32, u32),
        builder: (u32, u32),
    },
    #[error("invalid greeting: {0}")]
    Greeting(serde_json::Error),
}
