using System.Text.Json;
using LlmProxy.ChatCompletions;
using Shared.Pricing;

namespace LlmProxy.Media;

/// <summary>What the gateway notes of a file or a batch.</summary>
internal struct ProviderObjectFacts
{
    public string? Id, Purpose, Status, Model, OutputFile, ErrorFile, InputFile, Endpoint;

    /// <summary>What a batch used; null: not said.</summary>
    public TokenUsage? Usage;

    /// <summary>Whether a batch will not change any more.</summary>
    public readonly bool IsOver => Status is "completed" or "expired" or "cancelled" or "failed";
}

/// <summary>Reads files and batches as OpenAI's interface has them.</summary>
internal static class ProviderObjectReader
{
    /// <summary>Ids longer than this are none.</summary>
    public const int MaxIdLength = 256;

    /// <summary>Reads one object. False: it is garbage, or names something twice.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out ProviderObjectFacts facts)
    {
        facts = default;
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            var isClear = true;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "usage"u8))
                {
                    reader.Read();
                    facts.Usage = MediaUsage.ReadUsage(ref reader);
                    continue;
                }
                isClear &= TryTake(ref reader, ref facts);
            }
            return isClear && !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static bool TryTake(ref Utf8JsonReader reader, ref ProviderObjectFacts facts)
    {
        if (MemberNames.Is(ref reader, "id"u8))
        {
            return TryText(ref reader, ref facts.Id);
        }
        if (MemberNames.Is(ref reader, "purpose"u8))
        {
            return TryText(ref reader, ref facts.Purpose);
        }
        if (MemberNames.Is(ref reader, "status"u8))
        {
            return TryText(ref reader, ref facts.Status);
        }
        if (MemberNames.Is(ref reader, "model"u8))
        {
            return TryText(ref reader, ref facts.Model);
        }
        if (MemberNames.Is(ref reader, "output_file_id"u8))
        {
            return TryText(ref reader, ref facts.OutputFile);
        }
        if (MemberNames.Is(ref reader, "error_file_id"u8))
        {
            return TryText(ref reader, ref facts.ErrorFile);
        }
        if (MemberNames.Is(ref reader, "input_file_id"u8))
        {
            return TryText(ref reader, ref facts.InputFile);
        }
        if (MemberNames.Is(ref reader, "endpoint"u8))
        {
            return TryText(ref reader, ref facts.Endpoint);
        }
        reader.Read();
        reader.Skip();
        return true;
    }

    private static bool TryText(ref Utf8JsonReader reader, ref string? text)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String || reader.ValueSpan.Length > MaxIdLength)
        {
            reader.Skip();
            return true;
        }
        var isFirst = text is null;
        text = reader.GetString();
        return isFirst;
    }
}
