//! Two models that understand the same latents: one can be asked what the other is to learn.

use burn::tensor::Tensor;

use crate::flow::{Condition, Velocity};
use crate::model::{Generator, Model};

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

/// A net that is told what it knows of a condition.
pub(super) struct Told<'a>(pub &'a Generator);

impl Velocity for Told<'_> {
    fn velocity(&self, x: Tensor<3>, t: Tensor<1>, conditions: &[Condition]) -> Tensor<3> {
        let net = &self.0.model().header.net;
        let told = |c: &Condition| Condition {
            label: c.label.filter(|label| *label < net.labels),
            mode: c.mode.filter(|_| net.keys),
            ..*c
        };
        self.0.velocity().velocity(x, t, &conditions.iter().map(told).collect::<Vec<_>>())
    }
}
