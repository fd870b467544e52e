//! Colours, dashes and markers. Every colour is a named ink with a light and a dark value.
//!
//! The series colours are those of Okabe and Ito, which people with any of the common colour-vision deficiencies can tell
//! apart; they are ordered so that the first ones have the best contrast, and each comes with a dash and a marker, so that
//! no chart depends on colour. The dark values are lighter versions of the same hues.

use std::fmt::Write as _;

/// What a shape is drawn with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Ink {
    Background,
    Text,
    Muted,
    Grid,
    /// Axis lines and the line of no effect.
    Rule,
    Fault,
    Phase,
    Excluded,
    Better,
    Worse,
    /// 0 to 7; larger ones start again.
    Series(usize),
    /// A step of the heat map, 0 to 7.
    Heat(usize),
    /// Words on a pale series colour.
    OnPale,
}

struct Swatch {
    name: &'static str,
    light: u32,
    dark: u32,
}

const fn swatch(name: &'static str, light: u32, dark: u32) -> Swatch {
    Swatch { name, light, dark }
}

/// The light values must differ from each other: they are how an ink is recognised in the backend's output.
const SWATCHES: [Swatch; 27] = [
    swatch("bg", 0xFF_FF_FF, 0x16_1A_20),
    swatch("text", 0x1F_23_28, 0xE6_E9_ED),
    swatch("muted", 0x57_60_6A, 0xA3_AC_B8),
    swatch("grid", 0xE4_E7_EB, 0x2C_33_3C),
    swatch("rule", 0x8C_95_9F, 0x6B_76_84),
    swatch("fault", 0xC2_3B_22, 0xFF_7B_63),
    swatch("phase", 0x6A_73_7D, 0x94_9D_A8),
    swatch("out", 0xB4_BB_C4, 0x4A_53_5E),
    swatch("better", 0x00_72_B3, 0x5A_B0_F2),
    swatch("worse", 0xD5_5E_01, 0xFF_94_5C),
    swatch("s0", 0x00_72_B2, 0x4D_A3_EA),
    swatch("s1", 0xD5_5E_00, 0xF5_86_4B),
    swatch("s2", 0x00_9E_73, 0x2F_C7_9A),
    swatch("s3", 0xCC_79_A7, 0xE5_9F_C8),
    swatch("s4", 0xE6_9F_00, 0xF3_BC_43),
    swatch("s5", 0x56_B4_E9, 0x93_D6_FA),
    swatch("s6", 0x33_3B_45, 0xC9_D0_D8),
    swatch("s7", 0xA0_8F_00, 0xEE_E3_62),
    swatch("h0", 0xEE_F3_F9, 0x1C_25_30),
    swatch("h1", 0xD3_E2_F2, 0x1E_36_50),
    swatch("h2", 0xAF_CE_E8, 0x1F_4B_73),
    swatch("h3", 0x82_B6_DC, 0x22_63_98),
    swatch("h4", 0x55_9B_CC, 0x34_80_BC),
    swatch("h5", 0x2F_7D_B6, 0x58_A0_D8),
    swatch("h6", 0x15_5C_94, 0x8C_C4_EE),
    swatch("h7", 0x08_39_6B, 0xCD_E8_FC),
    swatch("pale", 0x1E_22_27, 0x15_19_1F),
];

/// Steps of the heat map.
pub(crate) const HEAT_STEPS: usize = 8;

impl Ink {
    const fn swatch(self) -> &'static Swatch {
        let index = match self {
            Self::Background => 0,
            Self::Text => 1,
            Self::Muted => 2,
            Self::Grid => 3,
            Self::Rule => 4,
            Self::Fault => 5,
            Self::Phase => 6,
            Self::Excluded => 7,
            Self::Better => 8,
            Self::Worse => 9,
            Self::Series(slot) => 10 + slot % 8,
            Self::Heat(step) => 18 + if step < HEAT_STEPS { step } else { HEAT_STEPS - 1 },
            Self::OnPale => 26,
        };
        &SWATCHES[index]
    }

    /// For words on the colour of the series in `slot`: whichever of white and black can be read on it.
    pub(crate) const fn on_series(slot: usize) -> Self {
        match slot % 8 {
            0 | 1 | 2 | 6 => Self::Background,
            _ => Self::OnPale,
        }
    }

    /// Red, green, blue of the light theme.
    pub(crate) const fn rgb(self) -> (u8, u8, u8) {
        let [_, red, green, blue] = self.swatch().light.to_be_bytes();
        (red, green, blue)
    }
}

/// The class name of the ink whose light value is `hex` (`#RRGGBB`).
pub(super) fn name_of(hex: &str) -> Option<&'static str> {
    let value = u32::from_str_radix(hex.strip_prefix('#')?, 16).ok()?;
    SWATCHES
        .iter()
        .find(|swatch| swatch.light == value)
        .map(|swatch| swatch.name)
}

/// Colour rules for a page that holds several charts inline: variables for both schemes, and the classes that use them.
pub(crate) fn page_style() -> String {
    let mut css = String::from(":root{");
    for swatch in &SWATCHES {
        let _ = write!(css, "--c-{}:#{:06x};", swatch.name, swatch.light);
    }
    css.push_str("}\n@media (prefers-color-scheme:dark){:root{");
    for swatch in &SWATCHES {
        let _ = write!(css, "--c-{}:#{:06x};", swatch.name, swatch.dark);
    }
    css.push_str("}}\n@media print{:root{");
    for swatch in &SWATCHES {
        let _ = write!(css, "--c-{}:#{:06x};", swatch.name, swatch.light);
    }
    css.push_str("}}\n");
    for swatch in &SWATCHES {
        let name = swatch.name;
        let _ = writeln!(
            css,
            ".f-{name}{{fill:var(--c-{name})}}.k-{name}{{stroke:var(--c-{name})}}"
        );
    }
    css.push_str(HALO);
    css
}

/// Colour rules for one chart that stands alone: the attributes have the light values, so only the dark ones are needed.
pub(super) fn file_style(used: impl Fn(&str) -> bool) -> String {
    let mut css = String::from(HALO);
    css.push_str("@media (prefers-color-scheme:dark){");
    for swatch in &SWATCHES {
        for (class, property) in [("f", "fill"), ("k", "stroke")] {
            let class = format!("{class}-{}", swatch.name);
            if used(&class) {
                let _ = write!(css, ".{class}{{{property}:#{:06x}}}", swatch.dark);
            }
        }
    }
    let _ = write!(css, ".halo{{stroke:#{:06x}}}}}", Ink::Background.swatch().dark);
    css
}

/// Labels that stand over lines carry the background around them.
const HALO: &str = ".halo{paint-order:stroke;stroke:var(--c-bg,#fff);stroke-width:12px;stroke-linejoin:round}";

/// The dash of a series, in pixels; empty: solid.
pub(crate) const DASHES: [&[f64]; 9] = [
    &[],
    &[7.0, 3.0],
    &[2.0, 2.5],
    &[9.0, 3.0, 2.0, 3.0],
    &[13.0, 4.0],
    &[4.5, 2.0],
    &[9.0, 2.5, 2.0, 2.5, 2.0, 2.5],
    &[1.5, 4.0],
    &[3.0, 3.0],
];

/// The dash of marks and limits.
pub(crate) const MARK_DASH: usize = 8;

/// The shape of a series' marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marker {
    Circle,
    Square,
    TriangleUp,
    Diamond,
    TriangleDown,
    Ring,
    Cross,
    OpenSquare,
}

/// The marker of a slot.
pub(crate) const fn marker(slot: usize) -> Marker {
    match slot % 8 {
        0 => Marker::Circle,
        1 => Marker::Square,
        2 => Marker::TriangleUp,
        3 => Marker::Diamond,
        4 => Marker::TriangleDown,
        5 => Marker::Ring,
        6 => Marker::Cross,
        _ => Marker::OpenSquare,
    }
}

/// Fonts that a machine already has.
pub(crate) const FONT_STACK: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Sizes in pixels.
pub(crate) mod size {
    pub(crate) const WIDTH: f64 = 760.0;
    pub(crate) const PAD: f64 = 16.0;
    pub(crate) const TITLE: f64 = 16.0;
    pub(crate) const LABEL: f64 = 12.0;
    pub(crate) const SMALL: f64 = 11.0;
    /// From one line of labels to the next.
    pub(crate) const LINE: f64 = 16.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn luminance(value: u32) -> f64 {
        let [_, red, green, blue] = value.to_be_bytes().map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_ink_can_be_recognised_by_its_light_value() {
        let distinct: BTreeSet<u32> = SWATCHES.iter().map(|swatch| swatch.light).collect();
        assert_eq!(distinct.len(), SWATCHES.len());
    }

    #[test]
    fn text_is_readable_and_series_are_visible_on_both_backgrounds() {
        let background = Ink::Background.swatch();
        for ink in [Ink::Text, Ink::Muted] {
            assert!(contrast(ink.swatch().light, background.light) >= 4.5, "{ink:?}");
            assert!(contrast(ink.swatch().dark, background.dark) >= 4.5, "{ink:?}");
        }
        for slot in 0..8 {
            let ink = Ink::Series(slot).swatch();
            assert!(contrast(ink.light, background.light) >= 2.0, "{slot}");
            assert!(contrast(ink.dark, background.dark) >= 4.5, "{slot}");
        }
    }
}
