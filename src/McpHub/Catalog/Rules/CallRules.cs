using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.Catalog.Rules;

/// <summary>What a manifest wants of each call of one tool. Immutable.</summary>
internal sealed class CallRules
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 128, AllowDuplicateProperties = false };

    private readonly FrozenDictionary<string, string> refused;
    private readonly byte[] inserted;
    private readonly (string Name, byte[] Member)[] defaults;
    private readonly ArgumentNode? tree;

    private CallRules(Curation curation, FrozenDictionary<string, string> refused, byte[] inserted, (string, byte[])[] defaults, ArgumentNode? tree)
    {
        (this.refused, this.inserted, this.defaults, this.tree) = (refused, inserted, defaults, tree);
        (Timeout, Result, MaxConcurrentCalls, Approval) = (curation.Timeout, curation.Result, curation.MaxConcurrentCalls, curation.Approval);
    }

    /// <summary>Time allowed for one call; null: that of the server.</summary>
    public TimeSpan? Timeout { get; }

    /// <summary>The largest result; null: any.</summary>
    public ResultLimit? Result { get; }

    /// <summary>The most calls in flight at once; null: no limit.</summary>
    public int? MaxConcurrentCalls { get; }

    /// <summary>Who is asked before a call; null: nobody.</summary>
    public Approval? Approval { get; }

    private bool ChecksArguments => refused.Count > 0 || tree is not null || defaults.Length > 0;

    /// <summary>Compiles the rules for a tool as its server defines it.</summary>
    /// <param name="definition">The tool.</param>
    /// <param name="curation">What the manifest says of it.</param>
    /// <param name="rules">The rules.</param>
    /// <param name="schema">Its input schema as clients see it; null: as it is.</param>
    /// <returns>Null, or why the tool cannot be served under these rules.</returns>
    public static string? Compile(ToolDefinition definition, Curation curation, out CallRules? rules, out byte[]? schema)
    {
        (rules, schema) = (null, null);
        if (curation.Set.IsEmpty && curation.Hidden.IsEmpty && curation.Arguments.IsEmpty)
        {
            rules = new CallRules(curation, FrozenDictionary<string, string>.Empty, [], [], null);
            return null;
        }
        JsonObject root;
        try
        {
            root = JsonNode.Parse(definition.InputSchema.Span, documentOptions: Strict)!.AsObject();
        }
        catch (JsonException)
        {
            return "Its 'inputSchema' has a member twice, or is nested too deep; the manifest's rules for arguments cannot be applied to it.";
        }
        var properties = root["properties"] as JsonObject;
        if (SchemaEdits.RefersElsewhere(root))
        {
            return "Its 'inputSchema' is a reference to another schema; the manifest's rules for arguments cannot be applied to it.";
        }
        var isClosed = root["additionalProperties"] is JsonValue more && more.GetValueKind() == JsonValueKind.False;

        // A rule for many tools is meant for those that have the argument; one for this tool alone is wrong if it has not.
        bool Has(string name) => properties is null ? !isClosed : properties.ContainsKey(name);
        var set = curation.Set.Where(pair => Has(pair.Key) || (pair.Value.ForThisTool && !isClosed)).ToDictionary(pair => pair.Key, pair => pair.Value.Value);
        var wrong = curation.Set.Where(pair => pair.Value.ForThisTool && !set.ContainsKey(pair.Key)).Select(pair => pair.Key)
            .Concat(curation.Hidden.Where(pair => pair.Value && !Has(pair.Key)).Select(pair => pair.Key))
            .Concat(curation.Arguments.Where(argument => argument.ForThisTool && !HasPath(root, argument.Rule)).Select(argument => argument.Rule.Name))
            .Order(StringComparer.Ordinal).FirstOrDefault();
        if (wrong is not null)
        {
            return $"The manifest has a rule for its argument '{wrong}', which it does not have{(properties is { Count: > 0 } ? $"; it has {string.Join(", ", properties.Select(property => property.Key).Take(20))}" : "")}.";
        }
        var required = root["required"] is JsonArray names ? names.OfType<JsonValue>().Select(name => name.TryGetValue(out string? text) ? text : "").ToHashSet() : [];
        var hidden = curation.Hidden.Keys.Where(name => !set.ContainsKey(name)).ToList();
        if (hidden.Order(StringComparer.Ordinal).FirstOrDefault(required.Contains) is { } needed)
        {
            return $"The manifest hides its argument '{needed}', which its server requires; give it a value under 'set'.";
        }
        var arguments = curation.Arguments.Select(argument => argument.Rule).Where(rule => HasPath(root, rule) && !set.ContainsKey(rule.Path[0]) && !hidden.Contains(rule.Path[0])).ToList();
        var gone = set.Keys.Concat(hidden).ToList();
        var refused = set.Keys.Select(name => KeyValuePair.Create(name, "has a fixed value here")).Concat(hidden.Select(name => KeyValuePair.Create(name, "cannot be sent here")))
            .DistinctBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase).ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
        var defaults = arguments.Where(rule => rule.Default is not null).GroupBy(rule => rule.Path[0])
            .Select(group => (group.Key, Member(group.Key, group.Last().Default!))).ToArray();
        var fixedMembers = set.OrderBy(pair => pair.Key, StringComparer.Ordinal).SelectMany((pair, i) => (byte[])[.. i == 0 ? ""u8 : ","u8, .. Member(pair.Key, pair.Value.Json)]).ToArray();
        rules = new CallRules(curation, refused, fixedMembers, defaults, ArgumentNode.Of(arguments.Where(rule => rule.Restricts)));
        schema = SchemaEdits.Write(root, gone, arguments);
        return null;
    }

    /// <summary>Checks the arguments of a call on what the server will see of them: unescaped, and each name once.</summary>
    /// <param name="arguments">The raw arguments; empty: there are none.</param>
    /// <returns>Null, or what is wrong with them.</returns>
    public string? Check(ReadOnlySpan<byte> arguments)
    {
        if (!ChecksArguments)
        {
            return null;
        }
        try
        {
            var reader = new Utf8JsonReader(arguments.IsEmpty ? "{}"u8 : arguments, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
            reader.Read();
            return ArgumentCheck.Object(ref reader, tree, "", refused);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return "'arguments' is not valid JSON.";
        }
    }

    /// <summary>The parameters with fixed values, and defaults of what was left out, put in front of the arguments; all other bytes stay.</summary>
    /// <param name="parameters">The caller's <c>params</c>, of which <see cref="Check"/> found the arguments in order.</param>
    public ReadOnlyMemory<byte> Splice(ReadOnlyMemory<byte> parameters)
    {
        if (inserted.Length == 0 && defaults.Length == 0)
        {
            return parameters;
        }
        var json = parameters.Span;
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        reader.Read();
        var (start, end, lastEnd) = (0, 0, (int)reader.BytesConsumed);
        var present = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isArguments = reader.ValueTextEquals("arguments"u8);
            reader.Read();
            if (isArguments)
            {
                start = (int)reader.TokenStartIndex;
                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                    {
                        present.Add(reader.GetString()!);
                        reader.Skip();
                    }
                }
                end = (int)reader.BytesConsumed;
            }
            reader.Skip();
            lastEnd = (int)reader.BytesConsumed;
        }
        var members = new ArrayBufferWriter<byte>(inserted.Length + 64);
        members.Write(inserted);
        foreach (var (name, member) in defaults)
        {
            if (!present.Contains(name))
            {
                members.Write(members.WrittenCount > 0 ? ","u8 : ""u8);
                members.Write(member);
            }
        }
        if (members.WrittenCount == 0)
        {
            return parameters;
        }
        var output = new ArrayBufferWriter<byte>(json.Length + members.WrittenCount + 16);
        if (start == 0)
        {
            // There is a name before it, always.
            output.Write(json[..lastEnd]);
            output.Write(",\"arguments\":{"u8);
            output.Write(members.WrittenSpan);
            output.Write("}"u8);
            output.Write(json[lastEnd..]);
            return output.WrittenMemory;
        }
        output.Write(json[..start]);
        output.Write("{"u8);
        output.Write(members.WrittenSpan);
        if (json[start] == (byte)'{')
        {
            output.Write(present.Count > 0 ? ","u8 : ""u8);
            output.Write(json[(start + 1)..]);
        }
        else
        {
            output.Write("}"u8);
            output.Write(json[end..]);
        }
        return output.WrittenMemory;
    }

    private static byte[] Member(string name, string json) => [.. RawJson.String(name), (byte)':', .. Encoding.UTF8.GetBytes(json)];

    /// <summary>Whether a schema tells of an argument, or of a member of one. Where it does not say what an object holds, it may hold that.</summary>
    private static bool HasPath(JsonObject schema, ArgumentRule rule)
    {
        JsonNode? at = schema;
        foreach (var name in rule.Path)
        {
            if (at is not JsonObject owner)
            {
                return true;
            }
            owner = owner["items"] is JsonObject items && owner["properties"] is null ? items : owner;
            if (owner["properties"] is not JsonObject properties)
            {
                return true;
            }
            if (!properties.TryGetPropertyValue(name, out at))
            {
                return false;
            }
        }
        return true;
    }
}
