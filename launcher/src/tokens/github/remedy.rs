//! The remedy for each way in which GitHub rejects a request.

use super::endpoint::Scope;
use super::rejection::{GithubErrorKind, Rejection};

/// The clock difference from which on the remedy is to set the clock, in seconds.
const CLOCK_SKEW: i64 = 30;

/// Returns what the user has to change.
pub(super) fn remedy(kind: GithubErrorKind, rejection: &Rejection<'_>, scope: &Scope) -> String {
    match kind {
        GithubErrorKind::Unauthorized => unauthorized(rejection),
        GithubErrorKind::Forbidden => forbidden(rejection.message, scope).to_owned(),
        GithubErrorKind::NotFound => not_found(rejection, scope),
        GithubErrorKind::Exists => {
            "A runner of this name exists: choose another --id, or another --prefix if two clusters share a GitHub organisation".to_owned()
        }
        GithubErrorKind::Invalid if (300..400).contains(&rejection.status) => format!(
            "GitHub redirects to another server, and tokens are not sent there: name {} as it is called now, and pass the address that a browser ends at with --github-url",
            scope.description()
        ),
        GithubErrorKind::Invalid => invalid(rejection.message).to_owned(),
        GithubErrorKind::Limited
        | GithubErrorKind::Unavailable
        | GithubErrorKind::Malformed
        | GithubErrorKind::Local => {
            "Check https://www.githubstatus.com and try again; the same --id makes no second job".to_owned()
        }
    }
}

fn unauthorized(rejection: &Rejection<'_>) -> String {
    match rejection.skew {
        Some(skew) if skew.abs() >= CLOCK_SKEW => {
            let direction = if skew > 0 { "behind" } else { "ahead of" };
            let seconds = skew.abs();
            format!("This machine's clock is {seconds} seconds {direction} GitHub's: set it (timedatectl set-ntp true)")
        }
        _ if rejection.by_app => {
            "Check that the App's id and its private key belong together, and that the key still exists in the App's settings".to_owned()
        }
        _ => "The token is expired, revoked or incomplete: make a new one, and pass all of it".to_owned(),
    }
}

fn forbidden(message: &str, scope: &Scope) -> &'static str {
    let lower = message.to_ascii_lowercase();
    if lower.contains("saml") || lower.contains("single sign") {
        return "Authorize the token for single sign-on: in the settings of tokens, \"Configure SSO\"";
    }
    if lower.contains("ip allow list") || lower.contains("ip address") {
        return "Add this machine's public address to the organisation's list of allowed addresses";
    }
    if lower.contains("suspended") {
        return "The App's installation is suspended: an owner resumes it in the settings, \"GitHub Apps\"";
    }
    match scope {
        Scope::Repository { .. } => {
            "Give an App or fine-grained token the repository permission \"Administration: write\", or a classic token the scope \"repo\". A token's owner must be an administrator of the repository. The organisation must allow runners of repositories (settings, \"Actions\", \"Runners\")"
        }
        Scope::Organisation(_) => {
            "Give an App or fine-grained token the organisation permission \"Self-hosted runners: write\", or a classic token the scope \"admin:org\". The runner group must be the organisation's own, not GitHub's or the enterprise's"
        }
        Scope::Enterprise(_) => {
            "Use a classic token with the scope \"manage_runners:enterprise\" of an enterprise owner; Apps and fine-grained tokens cannot do this"
        }
    }
}

fn not_found(rejection: &Rejection<'_>, scope: &Scope) -> String {
    let described = scope.description();
    if rejection.by_app {
        return format!(
            "The App is not installed for {described}, or --installation-id is wrong: see the App's settings, \"Install App\""
        );
    }
    let group = "Check the id in --runner-group too";
    match scope {
        Scope::Repository { .. } => format!(
            "Check that {described} exists. GitHub also returns this if the token may not see it: install the App there with \"Administration: write\", or use a token of an administrator"
        ),
        Scope::Organisation(_) => format!(
            "Check that {described} exists. GitHub also returns this if the token lacks \"Self-hosted runners: write\" (classic: \"admin:org\"). {group}"
        ),
        Scope::Enterprise(_) => format!(
            "Check that {described} exists, by the slug in its address. GitHub also returns this if the token lacks \"manage_runners:enterprise\". {group}"
        ),
    }
}

fn invalid(message: &str) -> &'static str {
    let lower = message.to_ascii_lowercase();
    if lower.contains("currently running a job") || lower.contains("busy") {
        return "The runner has a job: cancel the job first, or wait for its end";
    }
    if lower.contains("permission") {
        return "The App's installation lacks this permission: give it to the App, and accept the change in the installation";
    }
    if lower.contains("repositor") && lower.contains("install") {
        return "The App is installed for other repositories: add this one in the installation's settings";
    }
    "Correct the option that GitHub's message names: --labels (1 to 100), --runner-group or --work-folder"
}

#[cfg(test)]
mod tests {
    use super::super::error::GithubError;
    use super::*;

    fn rejected(
        status: u16,
        message: &str,
        skew: Option<i64>,
        by_app: bool,
        scope: &Scope,
    ) -> GithubError {
        let operation = "registering the runner \"a\"";
        GithubError::rejected(
            &Rejection {
                operation,
                status,
                message,
                skew,
                by_app,
            },
            scope,
        )
    }

    #[test]
    fn each_status_has_its_kind_and_remedy() {
        let repository = Scope::repository("octo/cat").unwrap();
        let organisation = Scope::organisation("octo").unwrap();
        let enterprise = Scope::enterprise("octo").unwrap();
        for (status, message, skew, by_app, scope, kind, remedy) in [
            (
                401,
                "Bad credentials",
                None,
                false,
                &repository,
                GithubErrorKind::Unauthorized,
                "make a new one",
            ),
            (
                401,
                "could not be decoded",
                Some(2),
                true,
                &repository,
                GithubErrorKind::Unauthorized,
                "id and its private key",
            ),
            (
                401,
                "'Issued at' claim",
                Some(-300),
                true,
                &repository,
                GithubErrorKind::Unauthorized,
                "300 seconds ahead of",
            ),
            (
                401,
                "'Expiration time'",
                Some(900),
                true,
                &repository,
                GithubErrorKind::Unauthorized,
                "900 seconds behind",
            ),
            (
                403,
                "Resource not accessible by integration",
                None,
                false,
                &repository,
                GithubErrorKind::Forbidden,
                "Administration: write",
            ),
            (
                403,
                "Resource not accessible",
                None,
                false,
                &organisation,
                GithubErrorKind::Forbidden,
                "Self-hosted runners: write",
            ),
            (
                403,
                "no",
                None,
                false,
                &enterprise,
                GithubErrorKind::Forbidden,
                "manage_runners:enterprise",
            ),
            (
                403,
                "Resource protected by organization SAML enforcement",
                None,
                false,
                &organisation,
                GithubErrorKind::Forbidden,
                "Configure SSO",
            ),
            (
                403,
                "your IP address is not permitted",
                None,
                false,
                &organisation,
                GithubErrorKind::Forbidden,
                "allowed addresses",
            ),
            (
                403,
                "This installation has been suspended",
                None,
                false,
                &organisation,
                GithubErrorKind::Forbidden,
                "resumes it",
            ),
            (
                404,
                "Not Found",
                None,
                false,
                &repository,
                GithubErrorKind::NotFound,
                "octo/cat",
            ),
            (
                404,
                "Not Found",
                None,
                true,
                &organisation,
                GithubErrorKind::NotFound,
                "not installed",
            ),
            (
                404,
                "Not Found",
                None,
                false,
                &enterprise,
                GithubErrorKind::NotFound,
                "slug",
            ),
            (
                409,
                "Already exists",
                None,
                false,
                &repository,
                GithubErrorKind::Exists,
                "another --id",
            ),
            (
                422,
                "Invalid request",
                None,
                false,
                &repository,
                GithubErrorKind::Invalid,
                "--labels",
            ),
            (
                422,
                "The permissions requested are not granted to this installation.",
                None,
                true,
                &repository,
                GithubErrorKind::Invalid,
                "accept the change",
            ),
            (
                422,
                "Runner is currently running a job",
                None,
                false,
                &repository,
                GithubErrorKind::Invalid,
                "has a job",
            ),
            (
                503,
                "",
                None,
                false,
                &repository,
                GithubErrorKind::Unavailable,
                "githubstatus",
            ),
        ] {
            let error = rejected(status, message, skew, by_app, scope);
            assert_eq!(error.kind, kind, "{error}");
            let text = error.to_string();
            assert!(text.contains(remedy), "{text}");
            assert!(
                text.contains(message) && text.starts_with("registering the runner"),
                "{text}"
            );
        }
    }
}
