using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using McpHub.Search;
using McpHub.Upstreams;
using ModelContextProtocol.Protocol;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>
/// Calls of clients of the stateless revision that ask their client something on the way. The call stays where it is, the client gets <c>input_required</c> with a sealed state,
/// and its retry brings the answers to the very same call (specification 2026-07-28, basic/utilities/mrtr). State of a tool server that speaks the revision itself goes through,
/// sealed, and holds nothing here.
/// </summary>
internal sealed class HeldCalls(StateSeal seal, TimeProvider clock)
{
    /// <summary>The most calls of one key that wait for their client.</summary>
    public const int MostPerKey = 100;

    /// <summary>The most calls that wait for their clients.</summary>
    public const int Most = 10_000;

    /// <summary>The most times that <see cref="Gathering"/> is waited.</summary>
    private const int MostGatherings = 10;

    /// <summary>A server that asks several things at once sends one message after the other: so long another may be on its way, and the client is asked all of them at once.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<Guid, HeldCall> held = new();

    /// <summary>How many calls wait for their clients.</summary>
    public int Count => held.Count;

    /// <summary>Makes a call, or goes on with one that waits.</summary>
    /// <param name="post">The request.</param>
    /// <param name="tell">Tells the client something while the call runs; null: it cannot be told.</param>
    /// <param name="call">Makes the call for a client, with these parameters.</param>
    /// <param name="cancellationToken">Cancelled when the client leaves.</param>
    /// <returns>The answer, or what the client is asked.</returns>
    public async ValueTask<ToolCallOutcome> RunAsync(
        ServedPost post, Func<string, ReadOnlyMemory<byte>, ValueTask>? tell, Func<IClientPeer, ReadOnlyMemory<byte>, CancellationToken, ValueTask<ToolCallOutcome>> call, CancellationToken cancellationToken)
    {
        var message = post.Message;
        var parameters = message.Params;
        var binding = BindingOf(post);
        if (FindState(parameters.Span) is { } state)
        {
            if (!seal.TryOpen(state, binding, out var kind, out var payload))
            {
                return RpcError.Of(RpcError.InvalidParams, "'requestState' is not one that was given to this caller for this request, or it has expired. Make the request again without it.");
            }
            if (kind == StateKind.Held)
            {
                return await ResumeAsync(payload, parameters, binding, tell, cancellationToken);
            }
            parameters = JsonEdits.With(parameters.Span, "requestState"u8, payload);
        }
        if (!CanBeAsked(message.ClientCapabilities.Span) && tell is null)
        {
            return Seal(await call(SilentPeer.Instance, parameters, cancellationToken), binding, canVisit: false);
        }
        var made = new HeldCall(post.Request.Key!.Id, message.ClientCapabilities.IsEmpty ? "{}"u8.ToArray() : message.ClientCapabilities.ToArray()) { Tell = tell };
        if (!post.TryRetain())
        {
            throw new OperationCanceledException(cancellationToken);
        }
        made.Start(Task.Run(async () =>
        {
            using (post)
            {
                return await call(made, parameters, made.Token);
            }
        }, CancellationToken.None));
        return await NextAsync(made, binding, cancellationToken);
    }

    private async ValueTask<ToolCallOutcome> ResumeAsync(byte[] payload, ReadOnlyMemory<byte> parameters, string binding, Func<string, ReadOnlyMemory<byte>, ValueTask>? tell, CancellationToken cancellationToken)
    {
        if (!held.TryGetValue(new Guid(payload.AsSpan(0, 16)), out var call) || !call.TryResume(BinaryPrimitives.ReadInt32BigEndian(payload.AsSpan(16))))
        {
            return RpcError.Of(RpcError.InvalidParams, "'requestState' has been used, or the call that it belongs to has ended. Make the request again without it.");
        }
        call.Tell = tell;
        call.Answer(JsonMembers.FindObject(parameters.Span, "inputResponses"u8));
        return await NextAsync(call, binding, cancellationToken);
    }

    /// <summary>Waits for the call to end, or to ask.</summary>
    private async ValueTask<ToolCallOutcome> NextAsync(HeldCall call, string binding, CancellationToken cancellationToken)
    {
        try
        {
            await Task.WhenAny(call.Running, call.Asked).WaitAsync(cancellationToken);
            var (known, times) = (0, 0);
            while (!call.Running.IsCompleted && call.Questions > known && times++ < MostGatherings)
            {
                known = call.Questions;
                await Task.WhenAny(call.Running, Task.Delay(Gathering, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
            // The client left instead of waiting: nobody could bring the call to its end.
            held.TryRemove(call.Id, out _);
            call.Cancel();
            throw;
        }
        if (call.Running.IsCompleted)
        {
            held.TryRemove(call.Id, out _);
            try
            {
                return Seal(await call.Running, binding, canVisit: call.Can("elicitation.url"));
            }
            finally
            {
                call.Dispose();
            }
        }
        if (!held.ContainsKey(call.Id) && (held.Count >= Most || held.Values.Count(other => other.KeyId == call.KeyId) >= MostPerKey))
        {
            call.Cancel();
            return RpcError.Of(RpcError.Refused, "Too many calls wait for answers of their clients. Answer some, or wait until they expire.");
        }
        held[call.Id] = call;
        call.Tell = null;
        var round = call.Park(clock, StateSeal.Lifetime, () => Expire(call));
        var state = new byte[20];
        call.Id.TryWriteBytes(state);
        BinaryPrimitives.WriteInt32BigEndian(state.AsSpan(16), round);
        return new ToolCallOutcome(call.WriteQuestions(seal.Seal(StateKind.Held, state, binding)), default);
    }

    private void Expire(HeldCall call)
    {
        if (held.TryRemove(call.Id, out _))
        {
            call.Cancel();
        }
    }

    /// <summary>Puts the gateway's seal on the state that a tool server gives its client to keep.</summary>
    private ToolCallOutcome Seal(ToolCallOutcome outcome, string binding, bool canVisit)
    {
        if (canVisit && AddressesToVisit(outcome) is { } questions)
        {
            return new ToolCallOutcome(questions, default);
        }
        if (!InputRounds.IsInputRequired(outcome) || JsonMembers.FindRaw(outcome.Result.Span, "requestState"u8) is not { IsEmpty: false } state)
        {
            return outcome;
        }
        return state.Length > StateSeal.MaxBytes
            ? RpcError.Of(RpcError.UpstreamInvalid, $"The tool server gave a 'requestState' of more than {StateSeal.MaxBytes} bytes.")
            : new ToolCallOutcome(JsonEdits.WithString(outcome.Result.Span, "requestState"u8, seal.Seal(StateKind.Upstream, state, binding)), default);
    }

    /// <summary>
    /// What a server of the handshake revisions wants its client to visit first (error -32042; specification 2025-11-25, client/elicitation, URL elicitation required), as the stateless
    /// revision says it, which has no such error: the client's retry makes the call anew. Null: it wants no such thing.
    /// </summary>
    private static byte[]? AddressesToVisit(ToolCallOutcome outcome)
    {
        if (!outcome.IsError || JsonMembers.FindNumber(outcome.Error.Span, "code"u8) != RpcError.UrlElicitationRequired
            || JsonMembers.FindObject(outcome.Error.Span, "data"u8) is not { IsEmpty: false } data || JsonMembers.FindRaw(data, "elicitations"u8) is not { IsEmpty: false } all)
        {
            return null;
        }
        using var elicitations = JsonDocument.Parse(all.ToArray(), new JsonDocumentOptions { MaxDepth = RpcFrame.MaxDepth });
        if (elicitations.RootElement.ValueKind != JsonValueKind.Array || elicitations.RootElement.GetArrayLength() is 0 or > InputRounds.MostQuestions)
        {
            return null;
        }
        var output = new ArrayBufferWriter<byte>(512);
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteString("resultType", "input_required");
        writer.WriteStartObject("inputRequests");
        var number = 0;
        foreach (var elicitation in elicitations.RootElement.EnumerateArray())
        {
            writer.WriteStartObject($"elicitation-{++number}");
            writer.WriteString("method", "elicitation/create");
            writer.WritePropertyName("params");
            elicitation.WriteTo(writer);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }

    private static string? FindState(ReadOnlySpan<byte> parameters)
    {
        if (parameters.IndexOf("requestState"u8) < 0)
        {
            return null;
        }
        return JsonMembers.FindRaw(parameters, "requestState"u8) switch
        {
            { IsEmpty: true } => null,
            var raw => raw[0] == (byte)'"' ? JsonMembers.FindString(parameters, "requestState"u8) : "",
        };
    }

    private static bool CanBeAsked(ReadOnlySpan<byte> capabilities) => capabilities.Length > 2;

    /// <summary>Who may use a state, and for what: another key, endpoint, method or tool makes another text.</summary>
    private static string BindingOf(ServedPost post)
    {
        var (request, message) = (post.Request, post.Message);
        var name = message.Method == RequestMethods.ResourcesRead ? JsonMembers.FindString(message.Params.Span, "uri"u8) : message.Name;
        if (request.ToolScope.Search && name == SearchAccess.CallName && JsonMembers.FindObject(message.Params.Span, "arguments"u8) is { IsEmpty: false } arguments)
        {
            name = $"{name}\n{JsonMembers.FindString(arguments, "name"u8)}";
        }
        return $"{request.Key!.Id}\n{request.ToolScope.Server}\n{request.ToolScope.Toolset}\n{message.Method}\n{name}";
    }

    /// <summary>A client that can neither be asked nor told, but takes what tool servers of its own revision ask.</summary>
    private sealed class SilentPeer : IClientPeer
    {
        public static SilentPeer Instance { get; } = new();

        public string? SessionId => null;

        public ReadOnlyMemory<byte> Capabilities { get; } = "{}"u8.ToArray();

        public bool CanBeTold => false;

        public bool TakesInputRequired => true;

        public ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) =>
            ValueTask.FromResult(RpcError.Of(RpcError.MethodNotFound, $"The client cannot be asked for '{method}'."));

        public ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }

    /// <summary>One call and what it wants to know.</summary>
    private sealed class HeldCall(string keyId, ReadOnlyMemory<byte> capabilities) : IClientPeer, IDisposable
    {
        private readonly CancellationTokenSource cancellation = new();
        private readonly Dictionary<string, Question> questions = new(StringComparer.Ordinal);
        private TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private ITimer? expiry;
        private int lastQuestion;
        private int round;
        private bool isParked;

        public Guid Id { get; } = Guid.NewGuid();

        public string KeyId { get; } = keyId;

        public Task<ToolCallOutcome> Running { get; private set; } = null!;

        public CancellationToken Token => cancellation.Token;

        public Func<string, ReadOnlyMemory<byte>, ValueTask>? Tell { get; set; }

        public string? SessionId => null;

        public ReadOnlyMemory<byte> Capabilities { get; } = capabilities;

        public bool CanBeTold => Tell is not null;

        public bool TakesInputRequired => true;

        /// <summary>Completes when there is a question that the client does not have yet.</summary>
        public Task Asked
        {
            get
            {
                lock (questions)
                {
                    return asked.Task;
                }
            }
        }

        /// <summary>How much it wants to know.</summary>
        public int Questions
        {
            get
            {
                lock (questions)
                {
                    return questions.Count;
                }
            }
        }

        public void Start(Task<ToolCallOutcome> running) => Running = running;

        public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
        {
            var question = new Question(method, parameters);
            string key;
            lock (questions)
            {
                key = $"{method[..Math.Max(0, method.IndexOf('/', StringComparison.Ordinal))]}-{++lastQuestion}";
                questions[key] = question;
                asked.TrySetResult();
            }
            try
            {
                return await question.Answer.Task.WaitAsync(cancellationToken);
            }
            finally
            {
                lock (questions)
                {
                    questions.Remove(key);
                }
            }
        }

        public ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => Tell?.Invoke(method, parameters) ?? ValueTask.CompletedTask;

        /// <summary>The call waits for its client from now on, though not for ever.</summary>
        /// <returns>The number that its next state has.</returns>
        public int Park(TimeProvider clock, TimeSpan lifetime, Action expire)
        {
            lock (questions)
            {
                expiry?.Dispose();
                expiry = clock.CreateTimer(static state => ((Action)state!)(), expire, lifetime, Timeout.InfiniteTimeSpan);
                isParked = true;
                asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return ++round;
            }
        }

        /// <summary>The client is back. False: with a state that is not the last one.</summary>
        public bool TryResume(int number)
        {
            lock (questions)
            {
                if (!isParked || number != round)
                {
                    return false;
                }
                isParked = false;
                expiry?.Dispose();
                return true;
            }
        }

        /// <summary>Takes the client's answers. What it left out is asked again.</summary>
        public void Answer(ReadOnlySpan<byte> responses)
        {
            lock (questions)
            {
                foreach (var (key, question) in questions.ToList())
                {
                    var answer = responses.IsEmpty ? default : JsonMembers.FindObject(responses, Encoding.UTF8.GetBytes(key));
                    if (answer.IsEmpty)
                    {
                        asked.TrySetResult();
                    }
                    else
                    {
                        questions.Remove(key);
                        question.Answer.TrySetResult(new ToolCallOutcome(answer.ToArray(), default));
                    }
                }
            }
        }

        public byte[] WriteQuestions(string state)
        {
            var output = new ArrayBufferWriter<byte>(1024);
            using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            writer.WriteStartObject();
            writer.WriteString("resultType", "input_required");
            writer.WriteStartObject("inputRequests");
            lock (questions)
            {
                foreach (var (key, question) in questions)
                {
                    writer.WriteStartObject(key);
                    writer.WriteString("method", question.Method);
                    if (!question.Params.IsEmpty)
                    {
                        writer.WritePropertyName("params");
                        writer.WriteRawValue(question.Params.Span);
                    }
                    writer.WriteEndObject();
                }
            }
            writer.WriteEndObject();
            writer.WriteString("requestState", state);
            writer.WriteEndObject();
            writer.Flush();
            return output.WrittenSpan.ToArray();
        }

        public void Cancel()
        {
            cancellation.Cancel();
            // Whoever made the call has left; its end is still waited for, so that no failure goes unseen by the record that it completes itself.
            _ = Running.ContinueWith(static (ended, state) =>
            {
                _ = ended.Exception;
                ((HeldCall)state!).Dispose();
            }, this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        public void Dispose()
        {
            expiry?.Dispose();
            cancellation.Dispose();
        }
    }

    private sealed record Question(string Method, ReadOnlyMemory<byte> Params)
    {
        public TaskCompletionSource<ToolCallOutcome> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
