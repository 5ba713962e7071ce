//! Settings of the log.

use super::SettingsLoader;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `--log-format`, `--log`.
#[derive(Debug, Clone)]
pub struct Logs {
    /// `--log-format`, `STOREFRONT_LOG_FORMAT`: `pretty` (default) or `json`.
    pub format: Format,
    /// `--log`, `STOREFRONT_LOG`: a level, or levels by module as `info,storefront=debug`;
    /// default `info,scylla=off`, because that driver tells what we tell too. At `debug` every request is a
    /// line.
    pub filter: String,
}

impl Logs {
    /// Reads the settings.
    pub fn read(loader: &mut SettingsLoader) -> Self {
        let format = loader.setting("log_format", Format::Pretty, |text| match text {
            "pretty" => Ok(Format::Pretty),
            "json" => Ok(Format::Json),
            other => Err(format!("`{other}` is not a format; use pretty or json")),
        });
        let filter = loader.setting("log", "info,scylla=off".to_owned(), |text| {
            tracing_subscriber::EnvFilter::try_new(text)
                .map(|_| text.to_owned())
                .map_err(|e| format!("`{text}` is not a log filter such as info or debug: {e}"))
        });
        Self { format, filter }
    }
}
