//! Whose turn it is on a core.

use std::task::Poll;

/// Ready once every other task of this core that is ready by now has had its turn.
///
/// To be waited for before a message is written to a socket: so all that has arrived is read and worked through first,
/// and all that follows from it leaves in one go. To wake a peer that sleeps costs more than to write a small message;
/// like this the first write wakes it, and it finds the others when it has woken.
pub(crate) async fn after_others() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[test]
    fn all_is_read_before_anything_is_written() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).expect("a runtime");
        let done = Rc::new(RefCell::new(Vec::new()));
        let tasks = ["a", "b", "c"].map(|task| {
            let done = Rc::clone(&done);
            async move {
                done.borrow_mut().push(format!("read {task}"));
                after_others().await;
                done.borrow_mut().push(format!("write {task}"));
            }
        });
        runtime.block_on(async {
            for task in tasks.map(tokio::task::spawn_local) {
                task.await.expect("ends");
            }
        });
        assert_eq!(*done.borrow(), ["read a", "read b", "read c", "write a", "write b", "write c"]);
    }
}
