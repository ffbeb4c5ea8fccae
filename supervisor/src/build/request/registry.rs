//! Pull, push, login, logout, and what only names images.

use super::super::credentials::given;
use super::super::reference::Reference;
use super::{Builder, Order, Request, feed, references};

pub(super) fn pull(request: &Request, builder: &Builder) -> Result<Order, String> {
    let names = &request.parsed.positional;
    let [name] = names.as_slice() else {
        return Err("pull takes one image".to_owned());
    };
    let reference = Reference::parse(name)?;
    let mut order = request.plain(builder, names);
    order.takes_place = true;
    credentials(request, builder, &mut order, &[reference])?;
    Ok(order)
}

/// The target is written out, so that nothing else decides where it goes.
pub(super) fn push(request: &Request, builder: &Builder, list: bool) -> Result<Order, String> {
    let what = if list { "manifest push" } else { "push" };
    let (name, target) = match request.parsed.positional.as_slice() {
        [name] => (name, name),
        [name, target] => (name, target),
        _ => return Err(format!("{what} takes an image and where it goes")),
    };
    Reference::parse(name)?;
    let target = Reference::parse(target)?;
    builder.allow(&target)?;
    let mut order = request.plain(builder, &[name.clone(), target.target()]);
    order.takes_place = true;
    if let Some(path) = request.parsed.last("digestfile") {
        let seen = order.room.output(request.path(builder, path)?);
        order.flag(format!("--digestfile={seen}"));
    }
    credentials(request, builder, &mut order, &[target])?;
    Ok(order)
}

pub(super) fn names(request: &Request, builder: &Builder) -> Result<Order, String> {
    let names = &request.parsed.positional;
    let references = references(names)?;
    let mut order = request.plain(builder, names);
    if request.words.first().is_some_and(|word| word == "manifest") {
        order.takes_place = matches!(request.words[1].as_str(), "create" | "add");
        credentials(request, builder, &mut order, &references)?;
    }
    Ok(order)
}

/// The one entry that each needs, or what stands on the command line.
fn credentials(
    request: &Request,
    builder: &Builder,
    order: &mut Order,
    references: &[Reference],
) -> Result<(), String> {
    let parsed = &request.parsed;
    if let Some(value) = parsed.last("tls-verify") {
        order.flag(format!("--tls-verify={value}"));
    }
    match (parsed.last("creds"), references) {
        // The image comes last where a list comes first.
        (Some(creds), [.., reference]) => order.authfile(&given(reference, creds)),
        _ => {
            builder.insecure(parsed, references)?;
            order.authfile(&builder.credentials.for_references(references));
        }
    }
    Ok(())
}

pub(super) fn login(
    request: &Request,
    builder: &Builder,
    input: Vec<u8>,
) -> Result<Order, String> {
    let parsed = &request.parsed;
    let mut order = account(request, builder)?;
    let password = parsed.last("password").map(|text| text.as_bytes().to_vec());
    let password = password.or_else(|| parsed.on("password-stdin").then_some(input));
    match password {
        Some(password) => {
            feed(&mut order.room, password);
            order.flag("--password-stdin=true".to_owned());
        }
        None if parsed.on("get-login") => {}
        None => {
            return Err("nobody can be asked for a password here; use --password-stdin".to_owned());
        }
    }
    if let Some(registry) = parsed.positional.first() {
        let reference = Reference::parse(&format!("{registry}/any"));
        let own = reference.is_ok_and(|reference| {
            builder.credentials.owner(&reference) == Some(super::Owner::Builder)
        });
        if own {
            order.notices.push(format!(
                "the builder has credentials of its own for {registry}; they come first"
            ));
        }
    }
    Ok(order)
}

pub(super) fn logout(request: &Request, builder: &Builder) -> Result<Order, String> {
    account(request, builder)
}

/// What the job logged in with, and nothing of the builder's.
fn account(request: &Request, builder: &Builder) -> Result<Order, String> {
    let registries = &request.parsed.positional;
    for registry in registries {
        Reference::parse(&format!("{registry}/any"))
            .map_err(|_| format!("{registry:?} is no registry (HOST[:PORT])"))?;
    }
    let mut order = request.plain(builder, registries);
    order.authfile(&builder.credentials.of_job());
    order.room.returns_authfile = true;
    Ok(order)
}
