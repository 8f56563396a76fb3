using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Usage;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Google's endpoints that generate nothing. Counting is free; an embedding's input is billed.</summary>
internal sealed class GeminiFamily(GeminiMethod method, string id, string path, string operation) : EndpointFamily(id, path, operation)
{
    public override string HomeDialect => DialectIds.Gemini;

    public override IErrorFormat Errors => GeminiErrorFormat.Instance;

    public override IReadOnlyList<string> ForwardedHeaders => [];

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        var error = GeminiScan.ScanContent(body, ref fields);
        if (method == GeminiMethod.CountTokens)
        {
            (fields.UnboundedMember, fields.ImageParts, fields.AudioParts) = (null, 0, 0);
        }
        return error;
    }

    /// <summary>Every request of a batch names the model, and Google wants it to be the address's.</summary>
    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        if (edit.Model is not { } model)
        {
            return;
        }
        var (again, models) = (new RoutedFields(), new List<JsonSlice>());
        GeminiScan.ScanContent(body, ref again, models);
        foreach (var slice in models)
        {
            edits.Add(slice.Offset, slice.Length, GeminiScan.ResourceName(model));
        }
    }

    public override StreamFramer NewFramer(string type) => new SseFramer();

    public override StreamWatch NewWatch(string expectedModel) => new GeminiWatch(expectedModel);

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts)
    {
        facts = default;
        var usage = new GeminiUsage();
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (isUsage, isError) = (GeminiNames.Is(ref reader, "usageMetadata"u8), GeminiNames.Is(ref reader, "error"u8));
                reader.Read();
                facts.IsError |= isError && reader.TokenType != JsonTokenType.Null;
                if (isUsage)
                {
                    usage.Read(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }
            facts.Usage = method == GeminiMethod.CountTokens ? default(TokenUsage) : usage.HasCounts ? usage.InputAlone : null;
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }
}
