//! Finds the platforms of a build. A FROM may name another image for each.

use crate::flags::Parsed;
use crate::operation::Operation;
use crate::rejected::Rejected;
use dockerfile::{BuildArgs, BuildOptions, Reference};

/// Returns the images that the Containerfiles name, for all platforms together.
pub(super) fn images(
    parsed: &Parsed,
    texts: &[String],
    mut options: BuildOptions,
) -> Result<Vec<Reference>, Rejected> {
    let requested = options.build_args.remove("TARGETPLATFORM");
    let mut images: Vec<Reference> = Vec::new();
    for platform in platforms(parsed, requested.as_deref()) {
        options.predefined = platform.variables().into();
        for image in dockerfile::images(texts, &options)? {
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    Ok(images)
}

/// Returns the predefined variables of the build's only platform. With several platforms, they have no single value.
pub(super) fn only(parsed: &Parsed, requested: Option<&str>) -> BuildArgs {
    match platforms(parsed, requested).as_slice() {
        [platform] if parsed.last("all-platforms").is_none() => platform.variables().into(),
        _ => BuildArgs::new(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Platform {
    system: String,
    architecture: String,
    variant: String,
}

impl Platform {
    /// Parses `OS/ARCH[/VARIANT]`. A missing part is this machine's.
    fn parse(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        let part = |found: Option<String>| found.filter(|part| !part.is_empty());
        Self {
            system: part(parts.next()).unwrap_or_else(|| "linux".to_owned()),
            architecture: part(parts.next()).unwrap_or_else(|| architecture().to_owned()),
            variant: part(parts.next()).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let variant = match self.variant.as_str() {
            "" => String::new(),
            variant => format!("/{variant}"),
        };
        format!("{}/{}{variant}", self.system, self.architecture)
    }

    fn variables(&self) -> [(String, String); 8] {
        let own = Self::parse("");
        [
            ("TARGETPLATFORM", self.text()),
            ("TARGETOS", self.system.clone()),
            ("TARGETARCH", self.architecture.clone()),
            ("TARGETVARIANT", self.variant.clone()),
            ("BUILDPLATFORM", own.text()),
            ("BUILDOS", own.system),
            ("BUILDARCH", own.architecture),
            ("BUILDVARIANT", own.variant),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

/// Rejects several platforms if images are pulled before the build. A storage has one image of a name: the pull for one
/// platform would replace that for another.
pub(super) fn require_one_if_pulled(parsed: &Parsed, pulls: &[Operation]) -> Result<(), Rejected> {
    let several = parsed.last("all-platforms").is_some() || platforms(parsed, None).len() > 1;
    if several && !pulls.is_empty() {
        return Err(Rejected::SeveralPlatforms);
    }
    Ok(())
}

fn platforms(parsed: &Parsed, requested: Option<&str>) -> Vec<Platform> {
    let listed: Vec<Platform> = parsed
        .values("platform")
        .flat_map(|list| list.split(','))
        .map(Platform::parse)
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    let [system, architecture, variant] =
        ["os", "arch", "variant"].map(|flag| parsed.last(flag).unwrap_or_default());
    match (system, architecture, requested) {
        ("", "", Some(requested)) => vec![Platform::parse(requested)],
        _ => vec![Platform::parse(&format!(
            "{system}/{architecture}/{variant}"
        ))],
    }
}

/// Returns this machine's architecture by its name in the OCI image specification.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse;
    use crate::policy::VERBS;

    fn found(flags: &[&str], text: &str) -> Vec<String> {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let parsed = parse(&[VERBS[0].flags], &flags, pflag::StopAt::End).unwrap();
        let images = images(&parsed, &[text.to_owned()], BuildOptions::default()).unwrap();
        images
            .iter()
            .map(|image| image.repository.clone())
            .collect()
    }

    #[test]
    fn each_platform_has_its_images() {
        let text = "FROM a.example/x-$TARGETOS-$TARGETARCH$TARGETVARIANT";
        let both = found(&["--platform=linux/arm/v7,linux/s390x"], text);
        assert_eq!(both, ["x-linux-armv7", "x-linux-s390x"]);
        assert_eq!(found(&["--arch", "riscv64"], text), ["x-linux-riscv64"]);
        let own = format!("x-linux-{}", architecture());
        let flags: [&[&str]; 2] = [&[], &["--platform=linux/arm/v7"]];
        for (flags, name) in flags.iter().zip(["TARGET", "BUILD"]) {
            let text = format!("FROM a.example/x-${name}OS-${name}ARCH");
            assert_eq!(found(flags, &text), [own.as_str()]);
        }
    }
}
