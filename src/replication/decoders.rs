//! What replication decodes: what crosses the link, and its records in the region's tree.

use super::link_record::LinkRecord;
use super::news::{News, Reply};
use super::protocol::{Answer, PromotionEnd, Request};
use super::token_records::TokenRecord;
use super::{envelope, handshake, token};
use crate::decoding::Decoder;

pub const DECODERS: [&[Decoder]; 4] = [
    &[
        Decoder::postcard::<Request>("link-request"),
        Decoder::postcard::<Answer>("link-answer"),
        Decoder::postcard::<News>("link-news"),
        Decoder::postcard::<Reply>("link-news-reply"),
        Decoder::postcard::<LinkRecord>("link-record"),
        Decoder::postcard::<TokenRecord>("token-record"),
        Decoder::postcard::<PromotionEnd>("promotion-record"),
    ],
    &[envelope::DECODER],
    handshake::DECODERS,
    token::DECODERS,
];
