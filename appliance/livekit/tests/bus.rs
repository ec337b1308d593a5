//! psrpc over a real Redis: our server and our client.

mod support;

use livekit::{
    proto::{
        Empty, SipStatus,
        sip::{
            InternalCreateSipParticipantRequest, InternalCreateSipParticipantResponse,
            InternalTransferSipParticipantRequest, InternalTransferSipParticipantResponse,
        },
    },
    psrpc::{Bus, ErrorCode, Registration, RpcError, SipInternal},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{Redis, soon};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(5);

fn dial(call: &str) -> InternalCreateSipParticipantRequest {
    InternalCreateSipParticipantRequest {
        sip_call_id: call.into(),
        call_to: "+31201234567".into(),
        ..Default::default()
    }
}

type Answer = Result<InternalCreateSipParticipantResponse, RpcError>;

async fn answered(request: InternalCreateSipParticipantRequest) -> Answer {
    Ok(InternalCreateSipParticipantResponse { sip_call_id: request.sip_call_id, ..Default::default() })
}

/// A gateway that answers every call.
async fn gateway(bus: &Bus) -> Registration {
    SipInternal::new(bus.clone()).serve_create(|request, _| answered(request)).await
}

async fn dial_succeeds(bus: &Bus) -> Result<String, RpcError> {
    let answer = SipInternal::new(bus.clone()).create(&dial("SCL_1"), PATIENCE).await?;
    Ok(answer.sip_call_id)
}

#[tokio::test]
async fn a_call_reaches_the_gateway_and_its_answer_comes_back() {
    let redis = Redis::start();
    let (server, client) = (redis.bus().await, redis.bus().await);
    let _gateway = gateway(&server).await;
    assert_eq!(dial_succeeds(&client).await.as_deref(), Ok("SCL_1"));
}

#[tokio::test]
async fn the_handler_knows_how_long_somebody_waits() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let _gateway = SipInternal::new(bus.clone())
        .serve_create(|request, deadline| async move {
            let left = deadline.duration_since(Instant::now());
            assert!(left > Duration::from_secs(20) && left <= Duration::from_secs(30), "{left:?}");
            answered(request).await
        })
        .await;
    let answer = SipInternal::new(bus).create(&dial("SCL_1"), Duration::from_secs(30)).await;
    assert_eq!(answer.map(|answer| answer.sip_call_id).as_deref(), Ok("SCL_1"));
}

#[tokio::test]
async fn a_busy_callee_comes_back_as_an_error_with_its_sip_status() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let _gateway =
        SipInternal::new(bus.clone()).serve_create(|_, _| async { Err(RpcError::from_sip(486, "Busy Here")) }).await;
    let error = dial_succeeds(&bus).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceExhausted);
    assert_eq!(error.sip_status(), Some(SipStatus { code: 486, status: "Busy Here".into() }));
}

#[tokio::test]
async fn a_method_that_nobody_serves_is_unavailable() {
    let redis = Redis::start();
    let error = dial_succeeds(&redis.bus().await).await.unwrap_err();
    assert_eq!(error, RpcError::unavailable("no response from servers"));
}

#[tokio::test]
async fn a_call_can_be_transferred_as_long_as_it_is_registered() {
    let redis = Redis::start();
    let sip = SipInternal::new(redis.bus().await);
    let transfer =
        |call: &str| InternalTransferSipParticipantRequest { sip_call_id: call.into(), ..Default::default() };
    let take = |request: InternalTransferSipParticipantRequest, _| async move {
        Ok(InternalTransferSipParticipantResponse { transfer_id: request.sip_call_id, ..Default::default() })
    };
    let first = sip.serve_transfer("SCL_first", take).await;
    let _second = sip.serve_transfer("SCL_second", take).await;
    assert_eq!(sip.transfer(&transfer("SCL_first"), PATIENCE).await.unwrap().transfer_id, "SCL_first");

    first.close().await;
    assert_eq!(sip.transfer(&transfer("SCL_first"), PATIENCE).await.unwrap_err().code, ErrorCode::Unavailable);
    assert_eq!(sip.transfer(&transfer("SCL_second"), PATIENCE).await.unwrap().transfer_id, "SCL_second");
}

#[tokio::test]
async fn a_registration_that_is_dropped_while_it_answers_still_answers() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let (end_call, ended) = oneshot::channel::<()>();
    let ended = Arc::new(tokio::sync::Mutex::new(Some(ended)));
    let (started, begun) = oneshot::channel::<()>();
    let started = Arc::new(parking_lot::Mutex::new(Some(started)));
    let registration = SipInternal::new(bus.clone())
        .serve_create(move |request, _| {
            let (ended, started) = (ended.clone(), started.clone());
            async move {
                let _ = started.lock().take().unwrap().send(());
                let _ = ended.lock().await.take().unwrap().await;
                answered(request).await
            }
        })
        .await;
    let client = tokio::spawn(async move { dial_succeeds(&bus).await });
    soon("the call", begun).await.unwrap();
    drop(registration);
    end_call.send(()).unwrap();
    assert_eq!(client.await.unwrap().as_deref(), Ok("SCL_1"));
}

#[tokio::test]
async fn of_several_gateways_exactly_one_takes_each_call() {
    let redis = Redis::start();
    let taken = Arc::new(AtomicUsize::new(0));
    let mut gateways = Vec::new();
    for _ in 0..3 {
        let taken = taken.clone();
        let handler = move |request: InternalCreateSipParticipantRequest, _| {
            taken.fetch_add(1, Ordering::SeqCst);
            answered(request)
        };
        gateways.push(SipInternal::new(redis.bus().await).serve_create(handler).await);
    }
    let client = redis.bus().await;
    for _ in 0..20 {
        dial_succeeds(&client).await.unwrap();
    }
    assert_eq!(taken.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let _gateway = SipInternal::new(bus.clone())
        .serve_create(move |request, _| {
            let both = both.clone();
            async move {
                both.wait().await;
                answered(request).await
            }
        })
        .await;
    let (one, two) = tokio::join!(dial_succeeds(&bus), dial_succeeds(&bus));
    assert!(one.is_ok() && two.is_ok());
}

#[tokio::test]
async fn a_gateway_that_takes_too_long_is_given_up() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let _gateway = SipInternal::new(bus.clone()).serve_create(|_, _| std::future::pending()).await;
    let error = SipInternal::new(bus).create(&dial("SCL_1"), Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_malformed() {
    let redis = Redis::start();
    let bus = redis.bus().await;
    let _gateway = gateway(&bus).await;
    // Field 2 is a number here and a text in what the gateway expects.
    let wrong = livekit::proto::Duration { seconds: 0, nanos: 7 };
    let answer = bus.request::<_, Empty>("SIPInternal", "CreateSIPParticipant", &[""], &wrong, PATIENCE).await;
    assert_eq!(answer.unwrap_err().code, ErrorCode::MalformedRequest);
}

#[tokio::test]
async fn without_redis_the_bus_starts_says_unavailable_and_comes_up_later() {
    let mut redis = Redis::absent();
    let bus = redis.bus().await;
    assert!(!*bus.connected().borrow());
    let gateway = gateway(&bus).await;
    let error = dial_succeeds(&bus).await.unwrap_err();
    assert_eq!(error, RpcError::unavailable("not connected to Redis"));

    redis.launch();
    soon("the connection", bus.connected().wait_for(|up| *up)).await.unwrap();
    assert_eq!(dial_succeeds(&bus).await.as_deref(), Ok("SCL_1"));
    gateway.close().await;
}

#[tokio::test]
async fn a_redis_that_comes_back_finds_everything_subscribed() {
    let mut redis = Redis::start();
    let (server, client) = (redis.bus().await, redis.bus().await);
    let _gateway = gateway(&server).await;
    assert!(dial_succeeds(&client).await.is_ok());

    redis.kill();
    for bus in [&server, &client] {
        soon("the loss", bus.connected().wait_for(|up| !*up)).await.unwrap();
    }
    assert_eq!(dial_succeeds(&client).await.unwrap_err().code, ErrorCode::Unavailable);

    redis.launch();
    for bus in [&server, &client] {
        soon("the connection", bus.connected().wait_for(|up| *up)).await.unwrap();
    }
    assert_eq!(dial_succeeds(&client).await.as_deref(), Ok("SCL_1"));
}
