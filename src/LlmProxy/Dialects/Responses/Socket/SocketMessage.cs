using System.Buffers;
using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Socket;

/// <summary>What a client sends over a WebSocket (developers.openai.com/api/docs/guides/websocket-mode): the body of a request with a few members around it.</summary>
internal sealed class SocketMessage
{
    /// <summary>Longer names of lanes are refused.</summary>
    private const int MaxLaneLength = 128;

    private SocketMessage()
    {
    }

    /// <summary>The lane whose responses are made one after the other and whose events name it; null: the one without a name.</summary>
    public JsonText? Lane { get; private init; }

    /// <summary>Whether it is a sign that a response was taken note of (Codex's <c>response.processed</c>), which needs no answer.</summary>
    public bool IsNotice { get; private init; }

    /// <summary>Whether it is input for a response that is being made (<c>response.steer</c>).</summary>
    public bool IsSteering { get; private init; }

    /// <summary>That input.</summary>
    public JsonValue Steered { get; private init; }

    /// <summary>The response that it is for.</summary>
    public JsonValue SteeredId { get; private init; }

    /// <summary>The request as it would come over HTTP, for a stream.</summary>
    public byte[] Body { get; private init; } = [];

    /// <summary>False: an empty response is wanted, from which later ones go on.</summary>
    public bool Generates { get; private init; } = true;

    /// <summary>False: nobody but the connection shall keep the response.</summary>
    public bool IsStored { get; private init; } = true;

    /// <summary>The trace that it is part of, as Codex says it; null: that of its connection.</summary>
    public string? TraceParent { get; private init; }

    /// <summary>Goes with <see cref="TraceParent"/>.</summary>
    public string? TraceState { get; private init; }

    /// <summary>Reads a message.</summary>
    /// <param name="bytes">The message.</param>
    /// <param name="lane">Its lane, where it could be read, also of a message that is refused.</param>
    /// <param name="message">The message; null: it is refused.</param>
    /// <returns>What is wrong with it.</returns>
    public static GatewayError? TryRead(ReadOnlyMemory<byte> bytes, out JsonText? lane, out SocketMessage? message)
    {
        (lane, message) = (null, null);
        try
        {
            var reader = new Utf8JsonReader(bytes.Span, new JsonReaderOptions { MaxDepth = JsonArrayReader.Options.MaxDepth });
            while (reader.Read())
            {
                // All of it is JSON, or it throws: what follows reads no further than it must.
            }
            return Read(JsonMembers.Of(bytes), out lane, out message);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new GatewayError(400, "invalid_json", "A message is a JSON object in a text message, and this is none.");
        }
    }

    private static GatewayError? Read(JsonMembers members, out JsonText? lane, out SocketMessage? message)
    {
        (lane, message) = (null, null);
        var type = members.Take("type"u8);
        if (!type.IsText)
        {
            return OpenAiErrors.Missing("type");
        }
        var stream = members.Take("stream_id"u8);
        if (stream.Exists)
        {
            if (!stream.IsText || stream.Text.IsBlank || stream.Raw.Length > MaxLaneLength + 2)
            {
                return new GatewayError(400, "invalid_stream_id", $"'stream_id' must be a text of 1 to {MaxLaneLength} characters.") { Field = "stream_id" };
            }
            lane = new JsonText(stream.Raw.ToArray());
        }
        if (type.Is("response.processed"u8))
        {
            message = new SocketMessage { IsNotice = true };
            return null;
        }
        if (type.Is("response.steer"u8))
        {
            message = new SocketMessage { IsSteering = true, Steered = members.Take("input"u8), SteeredId = members.Take("previous_response_id"u8) };
            return null;
        }
        if (!type.Is("response.create"u8))
        {
            return new GatewayError(400, "invalid_event", "The gateway knows no messages of this type. Send 'response.create'.") { Field = "type" };
        }
        if (members.Take("background"u8).IsTrue)
        {
            return new GatewayError(400, "unsupported_parameter", "Over WebSocket nothing is made in the background. Leave 'background' out.") { Field = "background" };
        }
        members.Take("stream"u8);
        var generates = !members.Take("generate"u8).IsFalse;
        var (traceParent, traceState) = TraceOf(members);
        var isStored = !members.Take("store"u8).IsFalse;
        members.Return("store"u8);
        var bag = new ExtensionBag();
        members.LeaveTo(bag);
        var body = new ArrayBufferWriter<byte>();
        var json = new JsonObjectWriter(body);
        json.Members(bag);
        json.Boolean("stream"u8, true);
        json.End();
        message = new SocketMessage { Lane = lane, Body = body.WrittenSpan.ToArray(), Generates = generates, IsStored = isStored, TraceParent = traceParent, TraceState = traceState };
        return null;
    }

    /// <summary>A message has no headers: Codex puts those of its trace among the request's metadata.</summary>
    private static (string? Parent, string? State) TraceOf(JsonMembers members)
    {
        var metadata = members.Take("client_metadata"u8);
        members.Return("client_metadata"u8);
        if (!metadata.IsObject)
        {
            return default;
        }
        var named = JsonMembers.Of(metadata.Raw);
        var (parent, state) = (named.Take("ws_request_header_traceparent"u8), named.Take("ws_request_header_tracestate"u8));
        return parent.IsText ? (parent.Text.ToString(), state.IsText ? state.Text.ToString() : null) : default;
    }
}
