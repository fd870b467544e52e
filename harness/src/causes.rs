//! An error and what led to it, in one line, each cause once.

use std::error::Error;

/// `error` and its causes, the outermost first. Some libraries repeat a cause in their own text; here it is told once.
///
/// ```
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = anyhow::Error::new(refused).context("cannot ask the server");
/// assert_eq!(soundcheck::causes::chain(error.as_ref()), "cannot ask the server: connection refused");
/// ```
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn a_cause_that_a_library_repeats_is_told_once() {
        let layers = [
            "cannot probe",
            "no metadata: transport failure",
            "transport failure",
            "os error 111",
        ];
        let error = layers
            .into_iter()
            .rev()
            .fold(None, |source, text| Some(Box::new(Layer { text, source })));
        assert_eq!(
            chain(&*error.unwrap()),
            "cannot probe: no metadata: transport failure: os error 111"
        );
    }
}
