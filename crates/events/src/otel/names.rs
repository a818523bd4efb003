//! Every name that is sent: those of the conventions for generative AI, which still move, and a few of our own.

pub(super) const SERVICE: &str = "service.name";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const SERVER: &str = "server.address";

pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const CHAT: &str = "chat";
pub(super) const INVOKE_AGENT: &str = "invoke_agent";
pub(super) const AGENT: &str = "gen_ai.agent.name";
pub(super) const CONVERSATION: &str = "gen_ai.conversation.id";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";

pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const TEMPERATURE: &str = "gen_ai.request.temperature";
pub(super) const TOP_P: &str = "gen_ai.request.top_p";
pub(super) const TOP_K: &str = "gen_ai.request.top_k";
pub(super) const STOP: &str = "gen_ai.request.stop_sequences";
pub(super) const SEED: &str = "gen_ai.request.seed";

pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";

pub(super) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(super) const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub(super) const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
pub(super) const REASONING: &str = "gen_ai.usage.reasoning.output_tokens";

pub(super) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub(super) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// A histogram in seconds.
pub(super) const DURATION: &str = "gen_ai.client.inference.duration";
/// A counter for each attribute of usage: the name it has there, and its own.
pub(super) const COUNTERS: [(&str, &str); 5] = [
    (INPUT_TOKENS, "gen_ai.client.inference.usage.input_tokens"),
    (OUTPUT_TOKENS, "gen_ai.client.inference.usage.output_tokens"),
    (CACHE_READ, "gen_ai.client.inference.usage.cache_read.input_tokens"),
    (CACHE_WRITE, "gen_ai.client.inference.usage.cache_write.input_tokens"),
    (REASONING, "gen_ai.client.inference.usage.reasoning.output_tokens"),
];

pub(super) const TURN: &str = "aichat.turn.id";
pub(super) const CALL: &str = "aichat.call.id";
pub(super) const ATTEMPTS: &str = "aichat.attempts";
pub(super) const ATTEMPT: &str = "aichat.attempt";
pub(super) const DELAY: &str = "aichat.retry.delay_ms";
/// An event of a span: an attempt failed and another one follows.
pub(super) const RETRY: &str = "aichat.retry";
/// An event of a span: the first content arrived.
pub(super) const FIRST_CONTENT: &str = "aichat.first_content";
/// What a turn without an agent is called.
pub(super) const TURN_SPAN: &str = "turn";
/// What is said of whoever sends.
pub(super) const AICHAT: &str = "aichat";

/// Returns the conventions' name of who answers: what is reached by a protocol of its own by that, and others by the name
/// they are configured under, which is theirs for those that the conventions know.
pub(super) fn provider<'a>(protocol: &str, host: &str, configured: &'a str) -> &'a str {
    match protocol {
        "anthropic" => "anthropic",
        "gemini" => "gcp.gemini",
        "azure-chat" | "azure-responses" => "azure.ai.openai",
        "openai-chat" | "openai-responses" if host == "api.openai.com" => "openai",
        _ => match configured {
            "mistral" => "mistral_ai",
            "xai" => "x_ai",
            other => other,
        },
    }
}
