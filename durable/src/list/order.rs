//! `order_by` of AIP-132: `title, create_time desc`.

use super::{Kind, Listing};

/// More than any reader of a list could follow.
const MAX_FIELDS: usize = 4;

/// One part of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) column: &'static str,
    pub(super) kind: Kind,
    pub(super) descending: bool,
}

/// Reads an order and appends the key, in the direction of the last field.
pub(super) fn parse(text: &str, listing: &Listing) -> Result<Vec<By>, String> {
    let mut order: Vec<By> = Vec::new();
    for part in text.split(',').filter(|_| !text.trim().is_empty()) {
        let by = part_of(part, listing)?;
        if order.iter().any(|other| other.column == by.column) {
            return Err(format!("`{}` is named twice", part.trim()));
        }
        order.push(by);
    }
    if order.len() > MAX_FIELDS {
        return Err(format!("an order has at most {MAX_FIELDS} fields"));
    }
    if order.iter().all(|by| by.column != listing.key) {
        let descending = order.last().is_some_and(|by| by.descending);
        order.push(By { column: listing.key, kind: Kind::Text, descending });
    }
    Ok(order)
}

fn part_of(part: &str, listing: &Listing) -> Result<By, String> {
    let mut words = part.split_whitespace();
    let name = words.next().ok_or("a field is missing between commas")?;
    let descending = match (words.next(), words.next()) {
        (None | Some("asc"), None) => false,
        (Some("desc"), None) => true,
        _ => return Err(format!("`{name}` may be followed by `asc` or `desc` only")),
    };
    let field = listing.fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<_> = listing.fields.iter().map(|field| field.name).collect();
        format!("`{name}` is not one of the fields {}", names.join(", "))
    })?;
    Ok(By { column: field.column, kind: field.kind, descending })
}

#[cfg(test)]
mod tests {
    use super::{super::Field, *};

    const LISTING: Listing = Listing {
        fields: &[Field::text("title", "title"), Field::time("create_time", "created")],
        key: "id",
        order: "",
    };

    #[test]
    fn orders_end_with_the_key() {
        let cases = [
            ("", vec![("id", false)]),
            ("title", vec![("title", false), ("id", false)]),
            ("create_time desc", vec![("created", true), ("id", true)]),
            (
                " title desc , create_time asc",
                vec![("title", true), ("created", false), ("id", false)],
            ),
        ];
        for (text, expected) in cases {
            let order = parse(text, &LISTING).unwrap();
            let found: Vec<_> = order.iter().map(|by| (by.column, by.descending)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn other_orders_are_refused() {
        for text in ["created", "title,", ",", "title down", "title desc desc", "title, title desc"]
        {
            assert!(parse(text, &LISTING).is_err(), "{text}");
        }
    }
}
