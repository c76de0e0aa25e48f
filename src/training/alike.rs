//! Two models that understand the same latents: one can be asked what the other is to learn.

use crate::model::Model;

/// What two models differ in.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "the two models differ in {0}. Choose the same model as it was earlier in its training, or one that went on from it or that it went on from"
)]
pub struct Unlike(pub(super) &'static str);

/// Whether they understand the same latents, and the one all that the `other` is told.
pub(super) fn check(one: &Model, other: &Model) -> Result<(), Unlike> {
    let (a, b) = (&one.header, &other.header);
    let alike = [
        (a.net.channels == b.net.channels && a.codec == b.codec, "their codecs"),
        (one.mean == other.mean && one.std == other.std, "how their latents are standardised"),
        (a.labels.starts_with(&b.labels), "their labels"),
        (a.net.keys || !b.net.keys, "their keys"),
    ];
    alike.into_iter().find(|(alike, _)| !alike).map_or(Ok(()), |(_, what)| Err(Unlike(what)))
}
