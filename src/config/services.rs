//! Which of the store's services a program serves.

/// What `activities` gets: it is known, and not here.
const LATER: &str = "the service `activities` is not in this version";
const CHOICES: &str = "use overview, orders, stock, payment, or cart for the last three, with \
                       commas between them";

/// Groups of routes. Programs that serve different ones may share a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    /// The game pages, what is beside them, and the page.
    pub overview: bool,
    /// `/orders`.
    pub orders: bool,
    /// `/stock`.
    pub stock: bool,
    /// `/payment`.
    pub payment: bool,
}

impl Services {
    /// Everything.
    pub const ALL: Self = Self { overview: true, orders: true, stock: true, payment: true };
    const NONE: Self = Self { overview: false, orders: false, stock: false, payment: false };

    /// Reads a list with commas.
    ///
    /// # Errors
    /// What is wrong with it, and what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).try_fold(Self::NONE, Self::with)
    }

    fn with(self, name: &str) -> Result<Self, String> {
        match name {
            "overview" => Ok(Self { overview: true, ..self }),
            "orders" => Ok(Self { orders: true, ..self }),
            "stock" => Ok(Self { stock: true, ..self }),
            "payment" => Ok(Self { payment: true, ..self }),
            "cart" => Ok(Self { orders: true, stock: true, payment: true, ..self }),
            "activities" => Err(format!("{LATER}; {CHOICES}")),
            other => Err(format!("`{other}` is not a service; {CHOICES}")),
        }
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_what_is_served() {
        for (text, overview, orders, stock, payment) in [
            ("overview", true, false, false, false),
            ("orders, payment", false, true, false, true),
            ("cart", false, true, true, true),
            ("stock,stock", false, false, true, false),
            ("overview,cart", true, true, true, true),
        ] {
            assert_eq!(Services::parse(text), Ok(Services { overview, orders, stock, payment }));
        }
    }

    #[test]
    fn what_is_no_service_is_named_beside_those_that_are() {
        for (text, named) in [
            ("shop", "`shop` is not a service"),
            ("orders,", "`` is not a service"),
            ("Cart", "`Cart` is not a service"),
            ("overview,activities", "`activities` is not in this version"),
        ] {
            let mistake = Services::parse(text).unwrap_err();
            assert!(mistake.contains(named), "{mistake}");
            assert!(mistake.contains("overview, orders, stock, payment"), "{mistake}");
        }
    }
}
