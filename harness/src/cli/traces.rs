//! Where traces can be sent.

use crate::stack::component::without_password;

/// Reads what `--traces` names.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let is_sound = reqwest::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none());
    // Without the text, in which a password may be.
    is_sound
        .then(|| text.to_owned())
        .ok_or_else(|| "expected an address such as http://127.0.0.1:4318".to_owned())
}

/// What repeats the choice.
pub(super) fn repeating(collector: Option<&str>) -> Vec<String> {
    collector.map_or_else(Vec::new, |url| vec!["--traces".to_owned(), without_password(url)])
}
