//! Certificates of the user's own (`runner.ca_bundle`), trusted by everything that a job runs.
//!
//! Most programs know one file only, so ours holds the system's certificates and the user's.

use std::ffi::OsString;
use std::path::Path;

use super::error::FlavorError;
use crate::config::FlavorName;
use crate::secrets::SecretsError;
use crate::workspace::RuntimeDir;

/// The system's bundles: Debian and Alpine, Fedora, openSUSE. The first that exists counts.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Their readers, in this order: OpenSSL with .NET, Go (buildah, skopeo) and Ruby; git; node; curl; Python's requests and pip;
/// AWS' tools; cargo.
const VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
];

const MARK: &str = "-----BEGIN CERTIFICATE-----";

/// Returns the variables that make every program trust the user's certificates. The list is empty without such certificates.
///
/// # Errors
/// [`FlavorError::Setting`] if the bundle cannot be read or is not PEM.
pub(super) fn trusted(
    flavor: FlavorName,
    bundle: Option<&Path>,
    runtime: &RuntimeDir,
) -> Result<Vec<(&'static str, OsString)>, FlavorError> {
    let Some(path) = bundle else {
        return Ok(Vec::new());
    };
    let own = read(path).map_err(|problem| FlavorError::Setting {
        flavor: flavor.name(),
        problem: format!("runner.ca_bundle {}: {problem}", path.display()),
    })?;
    let system = (SYSTEM.iter()).find_map(|path| std::fs::read_to_string(path).ok());
    let together = format!("{}\n{own}", system.unwrap_or_default().trim_end());
    let file = runtime
        .file("certificates.pem", together.as_bytes())
        .map_err(SecretsError::from)?;
    Ok(VARIABLES
        .iter()
        .map(|name| (*name, file.clone().into()))
        .collect())
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.contains(MARK) {
        Ok(text)
    } else {
        Err(format!(
            "found no \"{MARK}\", expected certificates as PEM (openssl x509 -inform der -in FILE turns DER into it)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_each_program_at_one_file_with_the_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("own.pem");
        std::fs::write(&bundle, format!("{MARK}\nMIIown\n")).unwrap();
        let runtime = RuntimeDir::new(directory.path());
        let variables = trusted(FlavorName::Exec, Some(&bundle), &runtime).unwrap();
        for name in [
            "SSL_CERT_FILE",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "CURL_CA_BUNDLE",
        ] {
            let (_, file) = variables.iter().find(|(known, _)| *known == name).unwrap();
            assert!(std::fs::read_to_string(file).unwrap().ends_with("MIIown\n"));
        }
        let without = trusted(FlavorName::Exec, None, &runtime).unwrap();
        assert!(without.is_empty());
    }

    #[test]
    fn a_bundle_that_is_none_is_named_with_its_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("own.der");
        let message = || {
            let runtime = RuntimeDir::new(directory.path());
            let error = trusted(FlavorName::Exec, Some(&bundle), &runtime).unwrap_err();
            error.to_string()
        };
        assert!(message().contains("runner.ca_bundle") && message().contains("No such file"));
        std::fs::write(&bundle, "0\x03binary").unwrap();
        assert!(
            message().contains("expected certificates as PEM"),
            "{}",
            message()
        );
    }
}
