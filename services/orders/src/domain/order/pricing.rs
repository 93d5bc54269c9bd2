//! What an order costs: the customer's wishes at the prices that are offered, as
//! long as both keep within the limits.

use super::{Item, Money, ProductId, Refusal};

/// Most items of an order: each is asked about and reserved in one call.
pub const MAX_ITEMS: usize = 100;
/// Most pieces of one product; more is a contract and not an order.
pub const MAX_QUANTITY: i64 = 1_000;
/// The highest total, in minor units: what an amount of the contracts holds.
pub const MAX_TOTAL: i64 = 9_007_199_254_740_991;

/// A product that a customer wants, and how many pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub product: ProductId,
    /// How many.
    pub quantity: i64,
}

/// What the inventory service says of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What.
    pub product: ProductId,
    /// What it is called.
    pub title: String,
    /// What a piece costs.
    pub price: Money,
}

/// Checks what is wanted as far as nobody has to be asked.
pub fn check(wishes: &[Wish]) -> Result<(), Refusal> {
    if !(1..=MAX_ITEMS).contains(&wishes.len()) {
        return Err(Refusal::Items);
    }
    for (place, wish) in wishes.iter().enumerate() {
        if !(1..=MAX_QUANTITY).contains(&wish.quantity) {
            return Err(Refusal::Quantity(place));
        }
        if wishes[..place].iter().any(|before| before.product == wish.product) {
            return Err(Refusal::Twice(place));
        }
    }
    Ok(())
}

/// The lines of an order at the prices that are offered, and their sum.
pub fn price(wishes: &[Wish], offers: &[Offer]) -> Result<(Vec<Item>, Money), Refusal> {
    check(wishes)?;
    let mut items = Vec::with_capacity(wishes.len());
    let mut total: Option<Money> = None;
    for wish in wishes {
        let item = line(wish, offers)?;
        total = Some(match total {
            None => item.line_total,
            Some(sum) if sum.currency != item.line_total.currency => {
                return Err(Refusal::Currencies(sum.currency, item.line_total.currency));
            }
            Some(sum) => sum.plus(item.line_total).ok_or(Refusal::TooDear)?,
        });
        items.push(item);
    }
    let total = total.ok_or(Refusal::Items)?;
    match total.units {
        1..=MAX_TOTAL => Ok((items, total)),
        ..=0 => Err(Refusal::Free),
        _ => Err(Refusal::TooDear),
    }
}

fn line(wish: &Wish, offers: &[Offer]) -> Result<Item, Refusal> {
    let offer = offers.iter().find(|offer| offer.product == wish.product);
    let offer = offer.ok_or_else(|| Refusal::NoProduct(wish.product.clone()))?;
    Ok(Item {
        product: wish.product.clone(),
        title: offer.title.clone(),
        quantity: wish.quantity,
        unit_price: offer.price,
        line_total: offer.price.times(wish.quantity).ok_or(Refusal::TooDear)?,
    })
}
