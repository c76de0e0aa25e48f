//! What a clip was asked for, in words and as parameters: to recall it, and to tell whether the controls
//! still say the same.

use super::hand::Hand;
use crate::engine::{ModelInfo, Request, Solver, hundredths, thousandths};
use crate::key::Key;
use crate::plugin::choices::{self, Bars};
use crate::plugin::{FlowloopParams, MAX_KEY, MAX_SEED, MAX_STEPS, MAX_STYLE, MAX_TAKE};

/// What the controls ask for, of the length, tempo and model of another request.
pub(super) fn asked(params: &FlowloopParams, like: &Request) -> Request {
    let make = &params.generate;
    Request {
        seed: make.seed.value() as u64,
        morph: thousandths(make.morph.value().into()),
        steps: make.steps.value() as u32,
        solver: make.solver.value().into(),
        style: make.style.value() as u16,
        key: make.key.value() as u8,
        guidance: hundredths(make.guidance.value().into()),
        variation: thousandths(make.variation.value().into()),
        take: make.take.value() as u16,
        ..*like
    }
    .normalised()
}

/// Sets the controls to what a clip was asked for. `bar` is the host's, in quarter notes; a length that is
/// none of the choices in it, and the tempo, are left to the project.
pub(super) fn recall(request: &Request, params: &FlowloopParams, hand: &Hand, bar: f64) {
    let make = &params.generate;
    let whole = |value: u64, most: i32| i32::try_from(value).unwrap_or(most).min(most);
    hand.set_plain(&make.seed, whole(request.seed, MAX_SEED));
    hand.set_plain(&make.morph, f32::from(request.morph) / 1000.0);
    hand.set_plain(&make.steps, whole(request.steps.into(), MAX_STEPS));
    let solver = match request.solver {
        Solver::Adams => choices::Solver::Adams,
        Solver::Euler => choices::Solver::Euler,
        Solver::Heun => choices::Solver::Heun,
    };
    hand.set_plain(&make.solver, solver);
    hand.set_plain(&make.style, whole(request.style.into(), MAX_STYLE));
    hand.set_plain(&make.key, whole(request.key.into(), MAX_KEY));
    if request.style > 0 || request.key > 0 {
        hand.set_plain(&make.guidance, f32::from(request.guidance) / 100.0);
    }
    hand.set_plain(&make.variation, f32::from(request.variation) / 1000.0);
    if request.variation > 0 {
        hand.set_plain(&make.take, whole(request.take.into(), MAX_TAKE));
    }
    let beats = |bars: &Bars| (f64::from(bars.count()) * bar).round() as u32;
    let all = [Bars::One, Bars::Two, Bars::Four, Bars::Eight];
    if let Some(bars) = all.into_iter().find(|b| beats(b) == request.beats)
        && beats(&make.bars.value()) != request.beats
    {
        hand.set_plain(&make.bars, bars);
    }
}

/// The seed, as it is seen: between two seeds while it is morphed.
pub(super) fn seed(request: &Request) -> String {
    match request.morph {
        0 => format!("{}", request.seed),
        morph => format!("{}.{:02}", request.seed, morph / 10),
    }
}

/// The style by the model's labels, "any style" without one.
pub(super) fn style(request: &Request, labels: &[String]) -> String {
    match usize::from(request.style).checked_sub(1) {
        None => "any style".into(),
        Some(label) => labels.get(label).cloned().unwrap_or_else(|| format!("style {}", request.style)),
    }
}

/// Style and key.
pub(super) fn kind(request: &Request, model: &ModelInfo) -> String {
    let key = model.key(request).map_or(String::new(), |key| format!(" · {}", key.short()));
    style(request, &model.labels) + &key
}

/// Style and key in a word or two, with the steps where there is room.
pub(super) fn short(request: &Request, model: &ModelInfo) -> String {
    let varied = if request.variation > 0 { format!(" v{}", request.take) } else { String::new() };
    let key = model.key(request).map(Key::short);
    match (request.style, key) {
        (0, None) => format!("{} steps{varied}", request.steps),
        (0, Some(key)) => format!("{key} {} steps{varied}", request.steps),
        (_, None) => format!("{} {}{varied}", style(request, &model.labels), request.steps),
        (_, Some(key)) => format!("{} {key}{varied}", style(request, &model.labels)),
    }
}

/// What it is, in a line.
pub(super) fn describe(request: &Request, model: &ModelInfo) -> String {
    let steps = match (request.steps, request.solver) {
        (1, _) => "1 step".to_string(),
        (steps, Solver::Adams) => format!("{steps} steps"),
        (steps, Solver::Euler) => format!("{steps} Euler steps"),
        (steps, Solver::Heun) => format!("{steps} Heun steps"),
    };
    let key = model.key(request).map_or(String::new(), |key| format!(" · {key}"));
    let mut text = format!("seed {} · {}{key} · {steps}", seed(request), style(request, &model.labels));
    if request.guidance != 100 {
        text += &format!(" · guidance {:.2}", f32::from(request.guidance) / 100.0);
    }
    if request.variation > 0 {
        text += &format!(" · {:.0} % variation, take {}", f32::from(request.variation) / 10.0, request.take);
    }
    text
}

/// The same as a file's name without its extension, in the words that `flowloop train` reads.
pub(super) fn file_name(request: &Request, model: &ModelInfo) -> String {
    let style = match request.style {
        0 => String::new(),
        _ => format!("-{}", style(request, &model.labels)),
    };
    let key = model.key(request).map_or(String::new(), |key| format!("-{}", key.short()));
    let varied = if request.variation > 0 { format!("-take{}", request.take) } else { String::new() };
    let bpm = format!("{:.2}", request.bpm());
    let bpm = bpm.trim_end_matches('0').trim_end_matches('.');
    let name = format!("seed{}{style}{key}{varied}-{}beats-{bpm}bpm", seed(request), request.beats);
    name.chars().map(|c| if c.is_alphanumeric() || "-._#".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_say_what_a_clip_is() {
        let labels = vec!["techno".to_string(), "drum & bass".to_string()];
        let model = ModelInfo { labels, keyed: vec![true, false, true], ..ModelInfo::default() };
        let plain = Request::new(7, 8, 0, 8, 120.0);
        assert_eq!(describe(&plain, &model), "seed 7 · any style · 8 steps");
        assert_eq!(file_name(&plain, &model), "seed7-8beats-120bpm");
        let rich = Request { morph: 250, style: 2, guidance: 150, variation: 400, take: 3, ..plain };
        let rich = Request { solver: Solver::Heun, centi_bpm: 17_450, key: 13, ..rich };
        assert_eq!(
            describe(&rich, &model),
            "seed 7.25 · drum & bass · F# minor · 8 Heun steps · guidance 1.50 · 40 % variation, take 3"
        );
        assert_eq!(file_name(&rich, &model), "seed7.25-drum---bass-F#m-take3-8beats-174.5bpm");
        assert_eq!([kind(&rich, &model), kind(&plain, &model)], ["drum & bass · F#m", "any style"]);
        assert_eq!(short(&Request { key: 2, ..plain }, &model), "Cmaj 8 steps");
        assert_eq!(short(&rich, &model), "drum & bass F#m v3");
        assert_eq!(short(&Request { style: 1, ..plain }, &model), "techno 8");
        let own = Key::of_seed(7).short();
        assert_eq!(
            kind(&Request { style: 2, ..plain }, &model),
            format!("drum & bass · {own}"),
            "any key is the seed's"
        );
        assert_eq!(kind(&Request { style: 1, key: 2, ..plain }, &model), "techno", "a style without keys");
        assert_eq!(style(&Request { style: 9, ..plain }, &model.labels), "style 9");
    }
}
