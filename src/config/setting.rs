//! What is declared of a setting, and the macro that makes a struct and its reader from it.

/// One setting, except its parser and its type.
#[derive(Debug)]
pub struct Setting {
    /// The file's key, such as `max_body`; flag and variable are made from it.
    pub key: &'static str,
    /// What the flag's value is, such as `BYTES`; empty for a switch.
    pub value: &'static str,
    /// As text, parsed as any other value; empty for a setting that may be unset.
    pub default: &'static str,
    /// Further environment variables, which users of the earlier service have.
    pub older: &'static [&'static str],
    /// For `--help` and docs/operations.md.
    pub help: &'static str,
}

impl Setting {
    /// Such as `--max-body`.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// The environment variables, the strongest first.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let ours = format!("STOREFRONT_{}", self.key.to_uppercase());
        std::iter::once(ours).chain(self.older.iter().map(|name| (*name).to_owned())).collect()
    }

    /// Its line of the tables in docs/operations.md.
    #[must_use]
    pub fn table_row(&self) -> String {
        let Self { key, value, default, help, .. } = self;
        let (flag, variables) = (self.flag(), self.variables().join("`, then `"));
        let flag = format!("{flag} {value}");
        let default = if default.is_empty() { "none" } else { &format!("`{default}`") };
        format!("| `{}` | `{variables}` | `{key}` | {default} | {help} |", flag.trim())
    }
}

/// Declares a struct of settings. Each field is one setting:
///
/// ```text
/// /// The help line, which is the field's documentation too
/// max_body: usize = positive("BYTES"), default "1048576", older "A" "B";
/// ```
///
/// Without `default` the field is an `Option`; without a name of its value the flag is a switch.
macro_rules! settings {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {$(
        $(#[doc = $help:literal])+
        $field:ident: $type:ty = $($parse:ident)::+($($value:literal)?)
            $(, default $default:literal)? $(, older $($older:literal)+)?;
    )+}) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        #[expect(non_upper_case_globals, reason = "a declaration has the name of its field")]
        impl $name {
            $(const $field: Setting = Setting {
                key: stringify!($field),
                value: concat!($($value)?),
                default: concat!($($default)?),
                older: &[$($($older),+)?],
                help: concat!($($help),+).trim_ascii(),
            };)+

            /// The declarations, in the order of `--help`.
            pub const SETTINGS: &'static [Setting] = &[$(Self::$field),+];

            /// Reads every setting; the loader gathers what is wrong.
            pub fn read(loader: &mut SettingsLoader) -> Self {
                Self {
                    $($field: settings!(
                        @read loader, Self::$field, $($parse)::+ $(, $default)?
                    ),)+
                }
            }
        }
    };
    (@read $loader:ident, $setting:expr, $parse:path) => { $loader.optional(&$setting, $parse) };
    (@read $loader:ident, $setting:expr, $parse:path, $default:literal) => {
        $loader.required(&$setting, $parse)
    };
}
pub(super) use settings;
