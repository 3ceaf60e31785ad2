//! The pretended shop's stock: members, items and reviews, the same in every process and at every start.
//!
//! Both sides of a migration read this one catalogue, so whatever differs in their answers is how they write it.

/// How many members there are; ids begin at 1.
pub(super) const MEMBERS: u32 = 200;
/// How many items there are; ids begin at 1.
pub(super) const ITEMS: u32 = 60;
/// How many reviews there are; ids begin at 1.
pub(super) const REVIEWS: u32 = 180;

/// A registered customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// From 1.
    pub(super) id: u32,
    /// Full name.
    pub(super) name: String,
    /// `bronze`, `silver` or `gold`.
    pub(super) grade: &'static str,
    /// Loyalty points.
    pub(super) points: u32,
    /// Day of registration.
    pub(super) joined: String,
}

/// A thing on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// From 1.
    pub(super) id: u32,
    /// What it is.
    pub(super) title: String,
    /// In won, which has no minor unit.
    pub(super) price: u32,
    /// Pieces left.
    pub(super) stock: u32,
}

/// What a member thinks of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Review {
    /// From 1.
    pub(super) id: u32,
    /// Which item.
    pub(super) item: u32,
    /// Who wrote it.
    pub(super) member: u32,
    /// 1 to 5 stars.
    pub(super) rating: u32,
    /// What it says.
    pub(super) text: &'static str,
}

const GIVEN: &[&str] = &["Ada", "Minjun", "Grace", "Seoyeon", "Linus", "Jihoon", "Barbara", "Haeun", "Ken", "Yuna"];
const FAMILY: &[&str] = &["Kim", "Hopper", "Lee", "Park", "Liskov", "Choi", "Lovelace", "Jung", "Thompson"];
const GRADES: &[&str] = &["bronze", "silver", "bronze", "gold"];
const KINDS: &[&str] = &["kettle", "desk lamp", "notebook", "rain coat", "backpack", "chopping board", "tea cup"];
const LOOKS: &[&str] = &["Plain", "Green", "Folding", "Small", "Heavy", "Travel"];
const OPINIONS: &[&str] = &[
    "Does what it should.",
    "The second one I bought.",
    "Smaller than it looks in the picture.",
    "Arrived a day late, otherwise fine.",
    "My cat likes it too.",
];

/// The `n`th of some words, round and round.
fn pick(words: &[&'static str], n: u32) -> &'static str {
    words[n as usize % words.len()]
}

/// A member, if there is one with this id.
pub(super) fn member(id: u32) -> Option<Member> {
    (1..=MEMBERS).contains(&id).then(|| Member {
        id,
        name: format!("{} {}", pick(GIVEN, id), pick(FAMILY, id)),
        grade: pick(GRADES, id),
        points: id * 137 % 5_000,
        joined: format!("{}-{:02}-{:02}", 2015 + id % 10, 1 + id % 12, 1 + id % 28),
    })
}

/// An item, if there is one with this id.
pub(super) fn item(id: u32) -> Option<Item> {
    (1..=ITEMS).contains(&id).then(|| Item {
        id,
        title: format!("{} {}", pick(LOOKS, id), pick(KINDS, id)),
        price: 4_900 + id * 7_300 % 90_000,
        stock: id * 31 % 40,
    })
}

/// A review, if there is one with this id.
pub(super) fn review(id: u32) -> Option<Review> {
    (1..=REVIEWS).contains(&id).then(|| Review {
        id,
        item: 1 + id % ITEMS,
        member: 1 + id * 7 % MEMBERS,
        rating: 1 + (id * 3 + id / ITEMS) % 5,
        text: pick(OPINIONS, id),
    })
}

/// All reviews of an item, oldest first.
pub(super) fn reviews_of(item: u32) -> Vec<Review> {
    (1..=REVIEWS).filter_map(review).filter(|review| review.item == item).collect()
}

/// Average stars of an item, if anybody wrote about it.
pub(super) fn rating_of(item: u32) -> Option<f64> {
    let reviews = reviews_of(item);
    let stars: u32 = reviews.iter().map(|review| review.rating).sum();
    let count = u32::try_from(reviews.len()).ok().filter(|count| *count > 0)?;
    Some((f64::from(stars) / f64::from(count) * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_begin_at_one_and_end_at_the_count() {
        assert!(member(0).is_none() && member(MEMBERS).is_some() && member(MEMBERS + 1).is_none());
        assert!(item(0).is_none() && item(ITEMS).is_some() && item(ITEMS + 1).is_none());
        assert!(review(0).is_none() && review(REVIEWS).is_some() && review(REVIEWS + 1).is_none());
    }

    #[test]
    fn every_review_is_of_an_item_by_a_member() {
        for review in (1..=REVIEWS).filter_map(review) {
            assert!(item(review.item).is_some() && member(review.member).is_some() && review.rating <= 5);
        }
        assert!((1..=ITEMS).all(|id| rating_of(id).is_some()));
    }
}
