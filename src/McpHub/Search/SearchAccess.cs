using System.Buffers;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using McpHub.Catalog;
using McpHub.Upstreams;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Tools;

namespace McpHub.Search;

/// <summary>
/// Three tools in place of hundreds of definitions: one finds tools by words, one describes them, one calls them. A call through the last is the same as a direct one: the same grant, admission,
/// curation and record, made under the tool's own name. At other endpoints it only passes calls on.
/// </summary>
internal sealed class SearchAccess(ToolDispatcher dispatcher, IToolViews views, AdmissionController admission) : IToolAccess
{
    public const string SearchName = "search_tools";
    public const string DescribeName = "describe_tool";
    public const string CallName = "call_tool";

    private const int DefaultFound = 8;
    private const int MostFound = 50;
    private const int LongestDescription = 240;
    private const int MostDescribed = 20;

    private static readonly ConditionalWeakTable<ToolView, ToolIndex> Indexes = [];
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The JSON array of the three definitions.</summary>
    public static ReadOnlyMemory<byte> Definitions { get; } = Encoding.UTF8.GetBytes("""
        [{"name":"call_tool","title":"Call a tool","description":"Calls one of the tools behind this server by its name, with the arguments that its input schema asks for. Find the name with search_tools and read the schema with describe_tool first.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The tool's name, as search_tools gives it"},"arguments":{"type":"object","description":"The arguments, as the tool's input schema says"}},"required":["name"],"additionalProperties":false}},
        {"name":"describe_tool","title":"Describe tools","description":"Gives the full definition of tools: description, input schema, output schema and annotations. Read it before the first call of a tool.","inputSchema":{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":20,"description":"Names, as search_tools gives them"}},"required":["names"],"additionalProperties":false},"annotations":{"readOnlyHint":true,"openWorldHint":false}},
        {"name":"search_tools","title":"Search tools","description":"Finds tools by words that say what is to be done, such as 'create an issue' or 'read file'. Gives names and short descriptions, the best first. There are many more tools here than are listed: search before saying that something cannot be done.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What is to be done, in a few words"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":8,"description":"The most tools to give"},"server":{"type":"string","description":"Only tools of this server"}},"required":["query"],"additionalProperties":false},"annotations":{"readOnlyHint":true,"openWorldHint":false}}]
        """.Replace("\n", "", StringComparison.Ordinal));

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> List(GatewayRequest caller) => dispatcher.List(caller);

    /// <inheritdoc/>
    public ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken) => caller.ToolScope.Search
        ? call.Name switch
        {
            SearchName => ValueTask.FromResult(Answer(caller, SearchName, call, Search)),
            DescribeName => ValueTask.FromResult(Answer(caller, DescribeName, call, Describe)),
            CallName => CallInnerAsync(caller, call, cancellationToken),
            _ => dispatcher.CallAsync(caller, call, cancellationToken),
        }
        : dispatcher.CallAsync(caller, call, cancellationToken);

    private ValueTask<ToolCallOutcome> CallInnerAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken)
    {
        var arguments = call.Params.IsEmpty ? default : JsonMembers.FindObject(call.Params.Span, "arguments"u8);
        if (arguments.IsEmpty || JsonMembers.FindString(arguments, "name"u8) is not { Length: > 0 } name)
        {
            return ValueTask.FromResult(RpcError.Of(RpcError.InvalidParams, "'arguments.name' must be the name of a tool, a string."));
        }
        if (name is SearchName or DescribeName or CallName)
        {
            return ValueTask.FromResult(RpcError.Of(RpcError.InvalidParams, $"'{name}' cannot be called through call_tool; call it by itself."));
        }
        var view = ViewOf(caller);
        if (!view.Tools.ContainsKey(name))
        {
            return ValueTask.FromResult(RpcError.Of(RpcError.InvalidParams, Unknown(view, name)));
        }
        var inner = JsonMembers.FindRaw(arguments, "arguments"u8);
        if (!inner.IsEmpty && inner[0] != (byte)'{')
        {
            return ValueTask.FromResult(RpcError.Of(RpcError.InvalidParams, "'arguments.arguments' must be an object."));
        }
        var parameters = JsonEdits.With(JsonEdits.WithString(call.Params.Span, "name"u8, name), "arguments"u8, inner.IsEmpty ? "{}"u8 : inner);
        return dispatcher.CallAsync(caller, call with { Name = name, Params = parameters }, cancellationToken);
    }

    /// <summary>Answers with what the hub itself knows; it counts as a request, and is recorded.</summary>
    private ToolCallOutcome Answer(GatewayRequest caller, string name, ToolCall call, Func<ToolView, JsonElement, ToolCallOutcome> answer)
    {
        var arguments = call.Params.IsEmpty ? default : JsonMembers.FindObject(call.Params.Span, "arguments"u8);
        using var given = JsonDocument.Parse(arguments.IsEmpty ? "{}"u8.ToArray() : arguments.ToArray(), new JsonDocumentOptions { MaxDepth = RpcFrame.MaxDepth });
        if (admission.TryAdmit(caller, AdmissionAsk.Free, out var lease) is { } refusal)
        {
            return RpcError.Of(refusal);
        }
        using (lease)
        {
            var start = new AttemptStart { Kind = CallKind.Tool, Upstream = "gateway", Name = name, RequestedName = name, PriceVersion = "manifest" };
            if (lease!.TryBeginAttempt(start, AdmissionAsk.Free, out var attempt) is { } limited)
            {
                return RpcError.Of(limited);
            }
            var outcome = answer(ViewOf(caller), given.RootElement);
            attempt!.Settle(new AttemptResult { Outcome = outcome.IsError ? CallOutcome.Failed : CallOutcome.Succeeded, Source = UsageSource.None, Cost = Money.Zero, Error = outcome.IsError ? "invalid_arguments" : null });
            return outcome;
        }
    }

    private static ToolCallOutcome Search(ToolView view, JsonElement arguments)
    {
        if (!arguments.TryGetProperty("query", out var query) || query.ValueKind != JsonValueKind.String || string.IsNullOrWhiteSpace(query.GetString()))
        {
            return RpcError.Of(RpcError.InvalidParams, "'arguments.query' must be a text of some words.");
        }
        var limit = DefaultFound;
        if (arguments.TryGetProperty("limit", out var most) && (most.ValueKind != JsonValueKind.Number || !most.TryGetInt32(out limit) || limit is < 1 or > MostFound))
        {
            return RpcError.Of(RpcError.InvalidParams, $"'arguments.limit' must be a whole number from 1 to {MostFound}.");
        }
        var server = arguments.TryGetProperty("server", out var only) && only.ValueKind == JsonValueKind.String ? only.GetString() : null;
        var found = IndexOf(view).Find(query.GetString()!, limit, server);
        return Written(writer =>
        {
            writer.WriteStartArray("tools");
            foreach (var tool in found)
            {
                var (title, description, _) = ToolText.FieldsOf(tool.Definition);
                writer.WriteStartObject();
                writer.WriteString("name", tool.ExposedName);
                if (title.Length > 0)
                {
                    writer.WriteString("title", title);
                }
                writer.WriteString("description", FirstOf(description));
                writer.WriteString("server", tool.Server.Id);
                foreach (var hint in (string[])["readOnlyHint", "destructiveHint"])
                {
                    if (tool.Annotations.TryGetValue(hint, out var value))
                    {
                        writer.WriteBoolean(hint, value);
                    }
                }
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
            writer.WriteNumber("of", view.Tools.Count);
        });
    }

    private static ToolCallOutcome Describe(ToolView view, JsonElement arguments)
    {
        if (!arguments.TryGetProperty("names", out var names) || names.ValueKind != JsonValueKind.Array || names.GetArrayLength() is 0 or > MostDescribed || names.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String))
        {
            return RpcError.Of(RpcError.InvalidParams, $"'arguments.names' must be 1 to {MostDescribed} names of tools.");
        }
        var wanted = names.EnumerateArray().Select(name => name.GetString()!).Distinct(StringComparer.Ordinal).ToList();
        if (wanted.Find(name => !view.Tools.ContainsKey(name)) is { } missing)
        {
            return RpcError.Of(RpcError.InvalidParams, Unknown(view, missing));
        }
        return Written(writer =>
        {
            writer.WriteStartArray("tools");
            foreach (var name in wanted)
            {
                writer.WriteRawValue(view.Tools[name].Definition.Span);
            }
            writer.WriteEndArray();
        });
    }

    private static string Unknown(ToolView view, string name)
    {
        var near = IndexOf(view).NamesLike(name, 3);
        return near.Count == 0 ? $"Unknown tool: {name}" : string.Create(CultureInfo.InvariantCulture, $"Unknown tool: {name}. Did you mean {string.Join(", ", near)}?");
    }

    private static string FirstOf(string description)
    {
        var line = description.AsSpan().Trim();
        var end = line.IndexOfAny('\n', '\r');
        line = end < 0 ? line : line[..end];
        return line.Length <= LongestDescription ? line.ToString() : string.Concat(line[..(char.IsHighSurrogate(line[LongestDescription - 1]) ? LongestDescription - 1 : LongestDescription)], "…");
    }

    private static ToolCallOutcome Written(Action<Utf8JsonWriter> write)
    {
        var answer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(answer, Writing))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }
        var output = new ArrayBufferWriter<byte>((answer.WrittenCount * 2) + 128);
        using (var writer = new Utf8JsonWriter(output, Writing))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("content");
            writer.WriteStartObject();
            writer.WriteString("type", "text");
            writer.WriteString("text", answer.WrittenSpan);
            writer.WriteEndObject();
            writer.WriteEndArray();
            writer.WritePropertyName("structuredContent");
            writer.WriteRawValue(answer.WrittenSpan, skipInputValidation: true);
            writer.WriteEndObject();
        }
        return new ToolCallOutcome(output.WrittenSpan.ToArray(), default);
    }

    private ToolView ViewOf(GatewayRequest caller) => views.ViewOf(caller.Snapshot, caller.Key!, caller.ToolScope.WithoutSearch());

    private static ToolIndex IndexOf(ToolView view) => Indexes.GetValue(view, static view => new ToolIndex(view.Tools.Values));
}
