//! The stacks of rehearsals: an embedded one for each, and one of containers for all of a binary.

use std::path::PathBuf;

use soundcheck::stack::{Stack, StackChoice, StackOptions, open};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::containers::can_open_a_stack;

/// Where a rehearsal takes place.
#[derive(Debug)]
pub(super) enum Place {
    Own(Box<dyn Stack>),
    /// Started once a binary. What a test leaves there is its namespace, which it removes.
    Shared(&'static dyn Stack),
}

impl Place {
    /// `None` when there can be no containers here, which has been said then.
    pub(super) async fn open(choice: StackChoice) -> Option<Self> {
        if choice == StackChoice::Containers {
            return shared_containers().await.map(Self::Shared);
        }
        Some(Self::Own(open(&options(choice)).await.unwrap()))
    }

    pub(super) fn stack(&self) -> &dyn Stack {
        match self {
            Self::Own(stack) => stack.as_ref(),
            Self::Shared(stack) => *stack,
        }
    }

    pub(super) async fn leave(self, namespace: &str) {
        match self {
            Self::Own(stack) => stack.close().await.unwrap(),
            Self::Shared(stack) => stack.remove_namespace(namespace).await.unwrap(),
        }
    }
}

#[derive(Debug)]
struct Shared {
    stack: Box<dyn Stack>,
    /// Each test has a runtime of its own, which ends with it; the stack outlives them.
    _runtime: Runtime,
}

/// The containers of this binary. They are never closed: whenever this process ends, its watchdog removes them.
async fn shared_containers() -> Option<&'static dyn Stack> {
    static SHARED: OnceCell<Option<Shared>> = OnceCell::const_new();
    let start = async || {
        if !can_open_a_stack().await {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let opened = runtime.spawn(async { open(&options(StackChoice::Containers)).await });
        let stack = opened.await.unwrap().unwrap();
        Some(Shared {
            stack,
            _runtime: runtime,
        })
    };
    let shared = SHARED.get_or_init(start).await;
    shared.as_ref().map(|shared| shared.stack.as_ref())
}

/// With the real tool as the watchdog: a test binary is none.
fn options(choice: StackChoice) -> StackOptions {
    StackOptions {
        program: tool(),
        ..StackOptions::from_env(choice).unwrap()
    }
}

pub(super) fn tool() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_soundcheck"))
}
