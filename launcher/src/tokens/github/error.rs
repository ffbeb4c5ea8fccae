//! What GitHub's refusals mean, and what has to be changed for each.

use super::endpoint::Scope;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// 401: the token or key is not taken.
    Unauthorized,
    /// 403: it is, and may not do this.
    Forbidden,
    /// 404: not there, or not to be seen with this token.
    NotFound,
    /// 409: the name is taken.
    Exists,
    /// 422: the request is refused as it is.
    Refused,
    /// 403 or 429: too many requests.
    Limited,
    /// 5xx, no connection, or no answer in time: it may have been done all the same.
    Unavailable,
    /// An answer that is not what GitHub documents: it may have been done all the same.
    Malformed,
    /// Something on this side: a key, a certificate.
    Local,
}

impl Cause {
    /// Whether GitHub may have done what was asked without our knowing.
    #[must_use]
    pub fn leaves_doubt(self) -> bool {
        matches!(self, Self::Unavailable | Self::Malformed)
    }
}

/// A request that failed: what for, what GitHub said, and the cure.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {said}. {cure}")]
pub struct GithubError {
    /// What was to be done.
    pub what: String,
    /// GitHub's words, or the network's.
    pub said: String,
    /// What has to be changed.
    pub cure: String,
    /// Which kind.
    pub cause: Cause,
    /// By how many seconds GitHub's clock is ahead of ours.
    pub(super) skew: Option<i64>,
}

/// What a refusal is about.
pub(super) struct Refusal<'a> {
    pub(super) what: &'a str,
    pub(super) status: u16,
    pub(super) said: &'a str,
    pub(super) skew: Option<i64>,
    /// Whether an App's own token was refused, not an installation's or a person's.
    pub(super) by_app: bool,
}

/// From how many seconds on a clock is told to be wrong.
const SKEW: i64 = 30;

impl GithubError {
    pub(super) fn refused(refusal: &Refusal<'_>, scope: &Scope) -> Self {
        let cause = cause(refusal.status);
        Self {
            what: refusal.what.to_owned(),
            said: format!("GitHub answered {} ({})", refusal.status, refusal.said),
            cure: cure(cause, refusal, scope),
            cause,
            skew: refusal.skew,
        }
    }

    pub(super) fn new(
        cause: Cause,
        what: impl Into<String>,
        said: impl Into<String>,
        cure: &str,
    ) -> Self {
        Self {
            what: what.into(),
            said: said.into(),
            cure: cure.to_owned(),
            cause,
            skew: None,
        }
    }

    pub(super) fn malformed(what: impl Into<String>, why: &str) -> Self {
        let said = format!("the answer is not what GitHub documents ({why})");
        let cure = "Is --github-url a GitHub, and not a proxy or a login page before it? An Enterprise Server must be one that knows just-in-time runners";
        Self::new(Cause::Malformed, what, said, cure)
    }

    pub(super) fn limited(what: impl Into<String>, said: &str, seconds: u64) -> Self {
        let said = format!("GitHub's rate limit is used up ({said}), for {seconds} more seconds");
        let cure = "Launch fewer jobs at once, wait longer with --patience, or use an App of its own: each installation has its own limit";
        Self::new(Cause::Limited, what, said, cure)
    }

    pub(super) fn no_group(what: String, names: &[String], scope: &Scope) -> Self {
        let said = format!(
            "there is none; {} has {}",
            scope.described(),
            names.join(", ")
        );
        let cure = "Name one of these with --runner-group, or create it in the settings, \"Actions\", \"Runner groups\"";
        Self::new(Cause::NotFound, what, said, cure)
    }
}

fn cause(status: u16) -> Cause {
    match status {
        401 => Cause::Unauthorized,
        403 => Cause::Forbidden,
        404 | 410 => Cause::NotFound,
        409 => Cause::Exists,
        429 => Cause::Limited,
        500.. => Cause::Unavailable,
        _ => Cause::Refused,
    }
}

fn cure(cause: Cause, refusal: &Refusal<'_>, scope: &Scope) -> String {
    match cause {
        Cause::Unauthorized => unauthorized(refusal),
        Cause::Forbidden => forbidden(refusal.said, scope),
        Cause::NotFound => not_found(refusal, scope),
        Cause::Exists => {
            "A runner of this name is there: take another --id, or another --prefix where two clusters share a GitHub".to_owned()
        }
        Cause::Refused if (300..400).contains(&refusal.status) => format!(
            "It redirects to another server, where no token is sent: give {} by its present name, and in --github-url the address that a browser ends at",
            scope.described()
        ),
        Cause::Refused => refused(refusal.said),
        Cause::Limited | Cause::Unavailable | Cause::Malformed | Cause::Local => {
            "Try again; https://www.githubstatus.com tells whether GitHub has trouble. The same --id makes no second job".to_owned()
        }
    }
}

fn unauthorized(refusal: &Refusal<'_>) -> String {
    match refusal.skew {
        Some(skew) if skew.abs() >= SKEW => {
            let direction = if skew > 0 { "behind" } else { "ahead of" };
            let seconds = skew.abs();
            format!("This machine's clock is {seconds} seconds {direction} GitHub's: set it (timedatectl set-ntp true)")
        }
        _ if refusal.by_app => {
            "The App's id and its private key must belong together, and the key must not be deleted: see the App's settings".to_owned()
        }
        _ => "The token is expired, withdrawn or cut: make a new one, and give it whole".to_owned(),
    }
}

fn forbidden(said: &str, scope: &Scope) -> String {
    let lower = said.to_ascii_lowercase();
    if lower.contains("saml") || lower.contains("single sign") {
        return "Authorize the token for single sign-on: in the settings of tokens, \"Configure SSO\"".to_owned();
    }
    if lower.contains("ip allow list") || lower.contains("ip address") {
        return "Add this machine's public address to the organisation's list of allowed addresses"
            .to_owned();
    }
    if lower.contains("suspended") {
        return "The App's installation is suspended: an owner resumes it in the settings, \"GitHub Apps\"".to_owned();
    }
    match scope {
        Scope::Repository { .. } => {
            "An App or fine-grained token needs the repository permission \"Administration: write\", a classic token the scope \"repo\", and its owner to be an administrator; an organisation may also forbid runners of repositories (settings, \"Actions\", \"Runners\")"
        }
        Scope::Organisation(_) => {
            "An App or fine-grained token needs the organisation permission \"Self-hosted runners: write\", a classic token the scope \"admin:org\"; a group that is GitHub's own or the enterprise's takes none of your runners"
        }
        Scope::Enterprise(_) => {
            "Only a classic token with the scope \"manage_runners:enterprise\" of an enterprise owner can do this; Apps and fine-grained tokens cannot"
        }
    }
    .to_owned()
}

fn not_found(refusal: &Refusal<'_>, scope: &Scope) -> String {
    let described = scope.described();
    if refusal.by_app {
        return format!(
            "The App is not installed for {described}, or its installation has another id: see the App's settings, \"Install App\""
        );
    }
    let group = "a runner group of that id may be missing too";
    match scope {
        Scope::Repository { .. } => format!(
            "Is there {described}? GitHub also says this to a token that may not see it: an App must be installed there with \"Administration: write\", a token's owner must be its administrator"
        ),
        Scope::Organisation(_) => format!(
            "Is there {described}? GitHub also says this to a token without the permission \"Self-hosted runners: write\" (classic: \"admin:org\"); {group}"
        ),
        Scope::Enterprise(_) => format!(
            "Is there {described}, by the slug in its address? GitHub also says this to a token without \"manage_runners:enterprise\"; {group}"
        ),
    }
}

fn refused(said: &str) -> String {
    let lower = said.to_ascii_lowercase();
    if lower.contains("currently running a job") || lower.contains("busy") {
        return "The runner has a job: cancel that first, or let it end".to_owned();
    }
    if lower.contains("permission") {
        return "The App's installation does not have this permission: give it to the App, and accept the change in the installation".to_owned();
    }
    if lower.contains("repositor") && lower.contains("install") {
        return "The App is installed for other repositories: add this one in the installation's settings".to_owned();
    }
    "Look at --labels (1 to 100), --runner-group and --work-folder: GitHub's words name what it does not take".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(
        status: u16,
        said: &str,
        skew: Option<i64>,
        by_app: bool,
        scope: &Scope,
    ) -> GithubError {
        let what = "registering the runner \"a\"";
        GithubError::refused(
            &Refusal {
                what,
                status,
                said,
                skew,
                by_app,
            },
            scope,
        )
    }

    #[test]
    fn each_status_has_its_cause_and_cure() {
        let repository = Scope::repository("octo/cat").unwrap();
        let organisation = Scope::organisation("octo").unwrap();
        let enterprise = Scope::enterprise("octo").unwrap();
        for (status, said, skew, by_app, scope, cause, cure) in [
            (
                401,
                "Bad credentials",
                None,
                false,
                &repository,
                Cause::Unauthorized,
                "make a new one",
            ),
            (
                401,
                "could not be decoded",
                Some(2),
                true,
                &repository,
                Cause::Unauthorized,
                "id and its private key",
            ),
            (
                401,
                "'Issued at' claim",
                Some(-300),
                true,
                &repository,
                Cause::Unauthorized,
                "300 seconds ahead of",
            ),
            (
                401,
                "'Expiration time'",
                Some(900),
                true,
                &repository,
                Cause::Unauthorized,
                "900 seconds behind",
            ),
            (
                403,
                "Resource not accessible by integration",
                None,
                false,
                &repository,
                Cause::Forbidden,
                "Administration: write",
            ),
            (
                403,
                "Resource not accessible",
                None,
                false,
                &organisation,
                Cause::Forbidden,
                "Self-hosted runners: write",
            ),
            (
                403,
                "no",
                None,
                false,
                &enterprise,
                Cause::Forbidden,
                "manage_runners:enterprise",
            ),
            (
                403,
                "Resource protected by organization SAML enforcement",
                None,
                false,
                &organisation,
                Cause::Forbidden,
                "Configure SSO",
            ),
            (
                403,
                "your IP address is not permitted",
                None,
                false,
                &organisation,
                Cause::Forbidden,
                "allowed addresses",
            ),
            (
                403,
                "This installation has been suspended",
                None,
                false,
                &organisation,
                Cause::Forbidden,
                "resumes it",
            ),
            (
                404,
                "Not Found",
                None,
                false,
                &repository,
                Cause::NotFound,
                "octo/cat",
            ),
            (
                404,
                "Not Found",
                None,
                true,
                &organisation,
                Cause::NotFound,
                "not installed",
            ),
            (
                404,
                "Not Found",
                None,
                false,
                &enterprise,
                Cause::NotFound,
                "slug",
            ),
            (
                409,
                "Already exists",
                None,
                false,
                &repository,
                Cause::Exists,
                "another --id",
            ),
            (
                422,
                "Invalid request",
                None,
                false,
                &repository,
                Cause::Refused,
                "--labels",
            ),
            (
                422,
                "The permissions requested are not granted to this installation.",
                None,
                true,
                &repository,
                Cause::Refused,
                "accept the change",
            ),
            (
                422,
                "Runner is currently running a job",
                None,
                false,
                &repository,
                Cause::Refused,
                "has a job",
            ),
            (
                503,
                "",
                None,
                false,
                &repository,
                Cause::Unavailable,
                "githubstatus",
            ),
        ] {
            let error = error(status, said, skew, by_app, scope);
            assert_eq!(error.cause, cause, "{error}");
            let text = error.to_string();
            assert!(text.contains(cure), "{text}");
            assert!(
                text.contains(said) && text.starts_with("registering the runner"),
                "{text}"
            );
        }
    }
}
