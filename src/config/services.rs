//! Which of the store's services a program serves.

const CHOICES: &str = "use overview, orders, stock, payment, activities, or cart for orders, stock \
                       and payment, with commas between them";

/// Groups of routes. Programs that serve different ones may share a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    /// The game pages, banners, reviews, and the React page.
    pub overview: bool,
    /// `/orders`.
    pub orders: bool,
    /// `/stock`.
    pub stock: bool,
    /// `/payment`.
    pub payment: bool,
    /// `/api/activities`.
    pub activities: bool,
}

impl Services {
    const NONE: Self =
        Self { overview: false, orders: false, stock: false, payment: false, activities: false };

    /// Parses a list with commas.
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
            "activities" => Ok(Self { activities: true, ..self }),
            other => Err(format!("`{other}` is not a service; {CHOICES}")),
        }
    }
}

impl Default for Services {
    fn default() -> Self {
        Self { overview: true, orders: true, stock: true, payment: true, activities: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_what_is_served() {
        for (text, overview, orders, stock, payment, activities) in [
            ("overview", true, false, false, false, false),
            ("orders, payment", false, true, false, true, false),
            ("cart", false, true, true, true, false),
            ("stock,stock", false, false, true, false, false),
            ("overview,cart,activities", true, true, true, true, true),
        ] {
            let expected = Services { overview, orders, stock, payment, activities };
            assert_eq!(Services::parse(text), Ok(expected));
        }
    }

    #[test]
    fn an_unknown_service_is_named_with_the_known_ones() {
        for (text, named) in [
            ("shop", "`shop` is not a service"),
            ("orders,", "`` is not a service"),
            ("Cart", "`Cart` is not a service"),
        ] {
            let error = Services::parse(text).unwrap_err();
            assert!(error.contains(named), "{error}");
            assert!(error.contains("overview, orders, stock, payment"), "{error}");
        }
    }
}
