//! What the answer promises about going on.

use emite_connect_tests::engines;
use emite_connect_tests::failed::Record;
use emite_connect_tests::faults::{Fault, Plan};
use serde_json::json;

use super::{AMPLE, Depot, SHORT, on_each_engine};

#[tokio::test]
async fn a_run_whose_time_is_up_says_where_to_go_on_and_the_next_one_goes_on_there() {
    on_each_engine(|kind| async move {
        let engine = engines::shared(kind).await;
        let depot = Depot::new(kind).await;
        depot.make_index(engine, &depot.monthly(), &json!({})).await;
        depot.aws.limit_bodies(&depot.domain, 30_000).await;
        let records: Vec<Record> =
            (0..300)
                .map(|number| {
                    if number % 50 == 7 { depot.bad(&format!("r{number}")) } else { depot.good(&format!("r{number}")) }
                })
                .collect();
        let source = depot.put("one", &records).await;
        // The domain takes some requests, and then none for as long as this run goes on.
        depot.aws.break_domain(&depot.domain, "throttle", 3, 0).await;
        let answer = depot.apply(&json!([source.key]), SHORT).await;
        assert_eq!(answer["remaining"][0]["key"], json!(source.key), "{answer}");
        assert!(
            answer["remaining"][0]["offset"].as_u64() > Some(0) && answer["quarantined"].as_u64() > Some(0),
            "{answer}"
        );
        assert!(depot.stands(&source).await);
        depot.aws.heal_domain(&depot.domain).await;
        let again = depot.apply(&answer["remaining"], AMPLE).await;
        assert_eq!((&again["remaining"], &again["stopped"]), (&json!([]), &json!(null)), "{again}");
        let refused: Vec<String> =
            (0..300).filter(|number| number % 50 == 7).map(|number| format!("r{number}")).collect();
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        depot.assert_all_is_done(engine, &[source], &refused).await;
        depot.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_object_that_is_gone_is_no_trouble_and_one_that_may_not_be_read_is_named_by_the_right() {
    on_each_engine(|kind| async move {
        let depot = Depot::new(kind).await;
        let source = depot.put("one", &[depot.good("a")]).await;
        let gone = format!("{}failed/gone", depot.base);
        let answer = depot.apply(&json!([gone, source.key]), AMPLE).await;
        assert_eq!(
            (&answer["indexed"], &answer["left"], &answer["remaining"]),
            (&json!(1), &json!([]), &json!([])),
            "{answer}"
        );
        let denied = depot.put("two", &[depot.good("b")]).await;
        for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"] {
            depot.proxy.plan([Plan { action: action.to_owned(), nth: 1, times: usize::MAX, fault: Fault::Denied }]);
            let error = depot.invoke(&json!({ "mode": "apply", "keys": [denied.key] }), AMPLE).await.expect_err(action);
            assert_eq!(error["errorType"], "AwsError", "{action}: {error}");
            assert!(error["errorMessage"].as_str().is_some_and(|text| text.contains(action)), "{action}: {error}");
            assert!(depot.stands(&denied).await, "{action}");
        }
        depot.proxy.heal();
        depot.redrive(&[denied]).await;
        depot.end().await;
    })
    .await;
}
