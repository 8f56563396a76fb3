using System.Buffers;
using System.Runtime.CompilerServices;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.Extensions.AI;
using Shared.Http;
using Shared.Models;

namespace LlmProxy.InProcess;

/// <summary>The gateway's models as an <see cref="IChatClient"/>, for one caller.</summary>
internal sealed class GatewayChatClient(ModelEndpoint endpoint, GatewayRequest caller, string model) : IChatClient
{
    private readonly ChatClientMetadata metadata = new("gateway", null, model);

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        await using var call = await SendAsync(messages, options, stream: false, cancellationToken);
        var sink = new UpdateSink(call.Headers);
        var status = new ChatAnswerDecoder().ReadComplete(await call.ReadAllAsync(cancellationToken), sink);
        ThrowUnlessComplete(status, sink);
        var response = sink.TakeAll().ToChatResponse();
        foreach (var (name, value) in response.Messages.SelectMany(message => message.AdditionalProperties ?? []))
        {
            (response.AdditionalProperties ??= [])[name] = value; // what is said of the answer, which the helper puts into its message
        }
        return response;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var call = await SendAsync(messages, options, stream: true, cancellationToken);
        var reader = new UpdateReader(call.Headers);
        while (true)
        {
            var read = await call.Answer.ReadAsync(cancellationToken);
            call.Answer.AdvanceTo(reader.Take(read.Buffer), read.Buffer.End);
            foreach (var update in reader.Sink.TakeAll())
            {
                yield return update;
            }
            if (reader.Status == StreamStatus.Completed)
            {
                yield break;
            }
            if (reader.Status != StreamStatus.Open || read.IsCompleted)
            {
                ThrowUnlessComplete(reader.Status == StreamStatus.Open ? StreamStatus.Truncated : reader.Status, reader.Sink);
            }
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null : serviceType == typeof(ChatClientMetadata) ? metadata : serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the caller's request owns all there is.</summary>
    public void Dispose()
    {
    }

    private Task<InProcessCall> SendAsync(IEnumerable<ChatMessage> messages, ChatOptions? options, bool stream, CancellationToken cancellationToken) =>
        InProcessCall.SendAsync(endpoint, EndpointFamily.Chat, caller, MessageCodec.Write(messages, options, options?.ModelId ?? model, stream), cancellationToken);

    private static void ThrowUnlessComplete(StreamStatus status, UpdateSink sink)
    {
        if (status == StreamStatus.Completed)
        {
            return;
        }
        throw sink.Error is { } error
            ? new ModelCallException(error.Status, error.Code ?? error.Type, error.Message) { Field = error.Field, RetryAfter = error.RetryAfter }
            : new ModelCallException(502, "upstream_error", "The model's answer broke off, or made no sense.");
    }

    /// <summary>Decodes what comes out of the pipe.</summary>
    private sealed class UpdateReader(Microsoft.AspNetCore.Http.IHeaderDictionary headers)
    {
        private readonly AnswerEvents events = new();
        private readonly ChatAnswerDecoder decoder = new();

        public UpdateSink Sink { get; } = new(headers);

        public StreamStatus Status { get; private set; }

        /// <summary>Takes all that has come.</summary>
        public SequencePosition Take(in ReadOnlySequence<byte> received)
        {
            events.Add(received);
            while (Status == StreamStatus.Open && events.TryRead(out var name, out var data))
            {
                Status = decoder.Read(name, data, Sink);
            }
            return received.End;
        }
    }
}
