//! The half of an operation that reads answers: `let`, `read`, `expect`, `classify`.

use super::Compiler;
use crate::payments::adapter::draft::{Class, Echo, OperationDraft, ReadDraft};
use crate::payments::adapter::expression::Expression;
use crate::payments::adapter::judge::{Judge, Read, Rule};
use crate::payments::adapter::mistake::Place;
use crate::payments::adapter::scope::Scope;
use crate::payments::record::Operation;

impl Compiler<'_> {
    pub(super) fn judge(&mut self, operation: Operation, place: &Place, written: &OperationDraft) -> Option<Judge> {
        let mut scope = Scope::answer();
        let lets = self.lets(&place.key("let"), written, &mut scope);
        let read = self.read(&place.key("read"), &written.read, &scope);
        for (index, echo) in written.expect.iter().enumerate() {
            let (name, known) = match echo {
                Echo::Amount => ("amount", written.read.amount.is_some()),
                Echo::Currency => ("currency", written.read.currency.is_some()),
                Echo::OrderReference => ("order_reference", written.read.order_reference.is_some()),
            };
            if !known {
                self.wrong(&place.key("expect").index(index), format!("read.{name} does not say where it stands"));
            }
        }
        if written.classify.is_empty() {
            self.wrong(place, "key \"classify\" is missing or empty: what the provider's answers mean");
        }
        let mut rules = Vec::new();
        for (index, rule) in written.classify.iter().enumerate() {
            let at = place.key("classify").index(index);
            if !rule.class.is_legal_for(operation) {
                let legal: Vec<_> = Class::ALL
                    .iter()
                    .filter(|class| class.is_legal_for(operation))
                    .map(|class| class.as_str())
                    .collect();
                let message = format!(
                    "{} can't be {:?}; it is one of {}",
                    operation.as_str(),
                    rule.class.as_str(),
                    legal.join(", ")
                );
                self.wrong(&at.key("as"), message);
            }
            let when = self.expression(&at.key("when"), &rule.when, &scope);
            rules.extend(when.map(|when| Rule { when, class: rule.class }));
        }
        Some(Judge { format: self.draft.answer_format, lets, read, expect: written.expect.clone(), rules })
    }

    fn lets(&mut self, place: &Place, written: &OperationDraft, scope: &mut Scope) -> Vec<(String, Expression)> {
        self.each(place, &written.lets, |compiler, place, source| {
            let name = match place.0.last() {
                Some(super::super::mistake::Step::Key(name)) => name.clone(),
                _ => return None,
            };
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !plain || name.starts_with(|c: char| c.is_ascii_digit()) || scope.has(&name) {
                compiler.wrong(place, format!("{name:?} can't be used here; take another name of a-z, 0-9 and _"));
                return None;
            }
            let expression = compiler.expression(place, source, scope);
            scope.add(&name);
            expression
        })
    }

    fn read(&mut self, place: &Place, draft: &ReadDraft, scope: &Scope) -> Read {
        let mut one = |name: &str, source: &Option<String>| {
            source.as_ref().and_then(|source| self.expression(&place.key(name), source, scope))
        };
        Read {
            provider_ref: one("provider_ref", &draft.provider_ref),
            amount: one("amount", &draft.amount),
            currency: one("currency", &draft.currency),
            order_reference: one("order_reference", &draft.order_reference),
            refunded: one("refunded", &draft.refunded),
            decline_code: one("decline_code", &draft.decline_code),
            next_action: self.each(&place.key("next_action"), &draft.next_action, |compiler, place, source| {
                compiler.expression(place, source, scope)
            }),
        }
    }
}
