//! Users and their credit, and cancelling what they have paid.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{
    Answer, ID, ID_AND_AMOUNT, IDS, PostgresCart, Value, amount, changed, number, outcome, text,
};
use crate::cart::model::{Amount, OrderId, UserId};
use crate::db::postgres::session::Sql;
use crate::db::storage::{ActContext, CartResult, PaymentStore, StorageError};

const CREATE_USER: Sql<'_> = Sql {
    text: "INSERT INTO cart_users (user_id, credit, funded) VALUES ($1, 0, 0) RETURNING NULL::text",
    types: ID,
};
const CREDIT: Sql<'_> = Sql { text: "SELECT credit FROM cart_users WHERE user_id = $1", types: ID };
const ADD_FUNDS: Sql<'_> = Sql { text: "SELECT cart_add_funds($1, $2)", types: ID_AND_AMOUNT };
const PAY: Sql<'_> = Sql { text: "SELECT cart_pay($1, $2)", types: ID_AND_AMOUNT };
const IS_PAID: Sql<'_> =
    Sql { text: "SELECT paid FROM cart_orders WHERE order_id = $1 AND user_id = $2", types: IDS };
const CANCEL: Sql<'_> =
    Sql { text: "SELECT cart_cancel($1, $2, $3)", types: &[Type::TEXT, Type::TEXT, Type::INT8] };

#[async_trait]
impl PaymentStore for PostgresCart {
    async fn create_user(&self, context: ActContext, user: UserId) -> CartResult<UserId> {
        self.call(context, CREATE_USER, vec![text(user.as_str())], user).await
    }

    async fn find_credit(&self, user: &UserId) -> Result<Option<Amount>, StorageError> {
        let found = |row: &Row| row.try_get::<_, i64>(0);
        let credit =
            self.query(ActContext::new(), CREDIT, vec![text(user.as_str())], found).await?;
        credit.map(amount).transpose()
    }

    async fn add_funds(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.call(context, ADD_FUNDS, vec![text(user.as_str()), number(amount)], ()).await
    }

    async fn pay(&self, context: ActContext, user: UserId, amount: Amount) -> CartResult {
        self.call(context, PAY, vec![text(user.as_str()), number(amount)], ()).await
    }

    async fn cancel(&self, context: ActContext, user: UserId, order: OrderId) -> CartResult {
        let mut version = self.versions.seen(&order);
        loop {
            let values = vec![text(user.as_str()), text(order.as_str()), Value::Number(version)];
            let answer = match self.answer(context.clone(), CANCEL, values, String::new()).await? {
                Answer::New(answer) => answer,
                Answer::Recorded(_) => return Ok(Ok(())),
            };
            match answer.as_deref().and_then(changed) {
                Some(present) => version = present,
                None if answer.is_some() => return outcome(answer.as_deref()),
                None => {
                    self.versions.remember(order, version + 1);
                    return Ok(Ok(()));
                }
            }
        }
    }

    async fn is_paid(&self, user: &UserId, order: &OrderId) -> Result<Option<bool>, StorageError> {
        let values = vec![text(order.as_str()), text(user.as_str())];
        self.query(ActContext::new(), IS_PAID, values, |row| row.try_get(0)).await
    }
}
