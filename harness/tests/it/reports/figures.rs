//! One snapshot a kind of figure, and what is refused.

use soundcheck::chart::{Axis, Cdf, CdfCurve, Chart, ChartError, Figure, Key, Labels, ShareAxis};
use soundcheck::format::Unit;

use crate::samples::{cache, incident, index, overview};

fn svg(figure: Figure) -> Result<String, ChartError> {
    let chart = Chart {
        title: "A title".to_owned(),
        subtitle: Some("and what was held equal".to_owned()),
        figure,
    };
    chart.svg(Labels {
        alt: "what it shows",
        mark: Some("SQLite numbers"),
    })
}

#[test]
fn each_kind_of_figure() {
    for (name, figure) in [
        ("cdf-even", cache::response_cdf(ShareAxis::Even)),
        ("cdf-tail", cache::response_cdf(ShareAxis::Tail)),
        ("timeline-gaps", cache::hit_ratio()),
        ("timeline-incident", incident::incident_timeline()),
        ("bars", cache::reads_per_request()),
        ("stacked", cache::outcomes()),
        ("effects", cache::cache_effects()),
        ("scaling", index::scaling()),
        ("heat-map", incident::saturation()),
        ("multiples", overview::multiples()),
        (
            "no-data",
            Figure::NoData("the drill was stopped before the fault".to_owned()),
        ),
    ] {
        insta::assert_snapshot!(name, svg(figure).unwrap());
    }
}

fn cdf(n_curves: usize, value: f64) -> Figure {
    let curve = |slot| CdfCurve {
        key: Key::new(format!("variant {slot}"), slot),
        points: vec![(value, 0.5), (value, 1.0)],
    };
    Figure::Cdf(Cdf {
        x: Axis::new("response time", Unit::Seconds),
        share: ShareAxis::Even,
        curves: (0..n_curves).map(curve).collect(),
    })
}

#[test]
fn a_value_that_is_no_number_is_refused_by_name() {
    for value in [f64::NAN, f64::INFINITY] {
        let error = svg(cdf(1, value)).unwrap_err();
        assert!(
            error.to_string().contains("`A title`") && error.to_string().contains("`variant 0`"),
            "{error}"
        );
    }
}

#[test]
fn more_series_than_can_be_told_apart_are_refused() {
    assert!(svg(cdf(8, 0.001)).is_ok());
    assert!(matches!(
        svg(cdf(9, 0.001)),
        Err(ChartError::TooManySeries { n_series: 9, .. })
    ));
}
