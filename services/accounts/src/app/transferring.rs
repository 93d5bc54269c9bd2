//! The saga of a transfer: the money leaves its source, then it comes onto its
//! destination; when that is refused, it goes back.
//!
//! A step changes the account and the transfer in one transaction. So the
//! transfer knows whether a step was done, however often and however late it is
//! tried, and an account need not remember transfers.

use std::error::Error as StdError;

use durable::{
    Tx,
    aggregate::{self, Repository},
    saga::{Definition, Failure, Step, StepContext},
};
use titan::accounts::v1::transfer::Failure as Reason;

use crate::{
    Books,
    domain::{
        Account, AccountId, Transfer, TransferId, account,
        transfer::{self, Back, Step as Found},
    },
};

/// What the saga knows: all else is in the transfer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MoveMoney {
    /// Resource name of the transfer, which is the saga's id too.
    #[prost(string, tag = "1")]
    pub(crate) transfer: String,
}

/// The saga.
pub(crate) fn definition(books: Books) -> Definition<MoveMoney, Books> {
    let transfers = books.transfers.clone();
    Definition::new("transfer", 1, books)
        .step("send", Step::run(send).undo(give_back))
        .step("receive", Step::run(receive).without_undo("it is the last: done, or refused"))
        .compensated(move |tx, saga| {
            let transfers = transfers.clone();
            Box::pin(async move { Ok(fail(tx, &transfers, &saga.data.transfer).await?) })
        })
}

async fn send(books: Books, _: StepContext, data: MoveMoney) -> Result<MoveMoney, Failure> {
    let it = books.transfer(&data).await?;
    let leave = |account: &Account| account.send(&it.id, &it.by, &it.amount);
    books.step(&it, &it.source, Transfer::sending, transfer::Event::Sent, leave).await?;
    Ok(data)
}

async fn receive(books: Books, _: StepContext, data: MoveMoney) -> Result<MoveMoney, Failure> {
    let it = books.transfer(&data).await?;
    let arrive = |account: &Account| account.receive(&it.id, &it.amount);
    let done = transfer::Event::Completed;
    books.step(&it, &it.destination, Transfer::receiving, done, arrive).await?;
    Ok(data)
}

/// Also when nothing had left: what is failed is never sent later on.
async fn give_back(books: Books, _: StepContext, data: MoveMoney) -> Result<MoveMoney, Failure> {
    let it = books.transfer(&data).await?;
    let Some(back) = it.returning() else { return Ok(data) };
    let mut tx = books.begin().await?;
    let failed = books.transfers.update_in(&mut tx, it.id.as_str(), |now| {
        let same = now.state.returning() == Some(back);
        if same { Ok(vec![transfer::Event::Failed(it.id.clone())]) } else { Err(Overtaken) }
    });
    failed.await.map_err(unknown)?;
    if back == Back::Money {
        let taken_back = books.accounts.update_in(&mut tx, it.source.as_str(), |account| {
            Ok::<_, Overtaken>(account.state.take_back(&it.id, &it.amount))
        });
        taken_back.await.map_err(unknown)?;
    }
    tx.commit().await.map_err(unknown)?;
    Ok(data)
}

/// A transfer that was refused before anything had left has failed, too.
async fn fail(
    tx: &mut Tx,
    transfers: &Repository<Transfer>,
    id: &str,
) -> Result<(), aggregate::Failure<Overtaken>> {
    transfers
        .update_in(tx, id, |now| {
            let nothing = now.state.returning() == Some(Back::Nothing);
            let failed = transfer::Event::Failed(now.state.id.clone());
            Ok(if nothing { vec![failed] } else { vec![] })
        })
        .await?;
    Ok(())
}

/// The same step was made elsewhere at this moment; the next attempt finds it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the transfer was changed by somebody else")]
struct Overtaken;

impl Books {
    async fn transfer(&self, data: &MoveMoney) -> Result<Transfer, Failure> {
        let known = self.transfers.load(&data.transfer).await.map_err(unknown)?;
        let known = known.ok_or_else(|| Failure::refused("TRANSFER_NOT_FOUND", "it never began"));
        Ok(known?.state)
    }

    async fn begin(&self) -> Result<Tx, Failure> {
        self.store.begin().await.map_err(unknown)
    }

    /// Makes a step: moves the money of an account and notes that on the transfer,
    /// or notes why the account refused.
    async fn step(
        &self,
        it: &Transfer,
        account: &AccountId,
        find: fn(&Transfer) -> Found,
        done: fn(TransferId) -> transfer::Event,
        decide: impl Fn(&Account) -> Result<Vec<account::Event>, account::Refusal>,
    ) -> Result<(), Failure> {
        match find(it) {
            Found::ToDo => {}
            Found::Done => return Ok(()),
            Found::Refused(why) => return Err(refused(why)),
        }
        let mut tx = self.begin().await?;
        // The transfer first: it is locked from here on, and then the account, of
        // which there is one, so that no two steps wait for each other.
        let noted = self.transfers.update_in(&mut tx, it.id.as_str(), |now| {
            let same = find(&now.state) == Found::ToDo;
            if same { Ok(vec![done(it.id.clone())]) } else { Err(Overtaken) }
        });
        noted.await.map_err(unknown)?;
        let moved = self.accounts.update_in(&mut tx, account.as_str(), |it| decide(&it.state));
        let why = match moved.await {
            Ok(_) => return tx.commit().await.map_err(unknown),
            Err(aggregate::Failure::Missing) => transfer::Failure::AccountNotFound,
            Err(aggregate::Failure::Refused(refusal)) => {
                transfer::Failure::of(refusal).ok_or_else(|| Failure::unknown(&refusal))?
            }
            Err(aggregate::Failure::Store(error)) => return Err(unknown(error)),
        };
        tx.rollback().await.map_err(unknown)?;
        self.refuse(it, find, why).await
    }

    async fn refuse(
        &self,
        it: &Transfer,
        find: fn(&Transfer) -> Found,
        why: transfer::Failure,
    ) -> Result<(), Failure> {
        let noted = self.transfers.update(it.id.as_str(), |now| {
            let same = find(&now.state) == Found::ToDo;
            let refusal = transfer::Event::Refused(it.id.clone(), why);
            if same { Ok(vec![refusal]) } else { Err(Overtaken) }
        });
        noted.await.map_err(unknown)?;
        Err(refused(why))
    }
}

fn refused(why: transfer::Failure) -> Failure {
    let reason = Reason::from(why).as_str_name().trim_start_matches("FAILURE_");
    Failure::refused(reason, "an account refused the transfer")
}

fn unknown(error: impl StdError + 'static) -> Failure {
    Failure::unknown(&error)
}
