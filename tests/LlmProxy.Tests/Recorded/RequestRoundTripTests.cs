using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>Every request that there is, decoded and encoded for a provider of the same dialect.</summary>
public sealed class RequestRoundTripTests
{
    [Theory]
    [MemberData(nameof(TrafficRows.Requests), MemberType = typeof(TrafficRows))]
    public void Encode_ForTheSameDialect_LosesNothing(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        var before = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 256 }).RootElement;

        var (refusal, output, dropped) = Translate(dialect, dialect, body);

        if (refusal is not null && Explained.IsBadRequest(name, refusal))
        {
            return;
        }
        Assert.True(refusal is null, refusal);
        Assert.Empty(dropped.Names);
        var after = JsonDocument.Parse(output, new JsonDocumentOptions { MaxDepth = 256 }).RootElement;
        JsonDifference.AssertNone(JsonDifference.Between(Explained.Normal(dialect, before), Explained.Normal(dialect, after)).Where(difference => !Explained.InRequest(dialect, difference)));
    }

    /// <summary>What was encoded must be decoded by its own dialect, and mean the same when it is encoded once more.</summary>
    [Theory]
    [MemberData(nameof(TrafficRows.Requests), MemberType = typeof(TrafficRows))]
    public void Encode_ForAnyDialect_IsARequestOfThatDialect(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        foreach (var target in RecordedTraffic.Dialects.Where(target => KnownDialects.Find(target) is not null))
        {
            var (refusal, output, dropped) = Translate(dialect, target, body);
            if (refusal is not null)
            {
                continue; // the golden files show what is refused and how
            }
            var codec = TrafficRows.DialectOf(target);
            var fields = new RoutedFields { Choices = 1 };
            Assert.True(codec.Scan(output, ref fields) is null, $"{target} does not take what was encoded for it: {Encoding.UTF8.GetString(output)}");
            var (again, output2, _) = Translate(target, target, output);
            Assert.True(again is null, $"{target}: {again}: {Encoding.UTF8.GetString(output)}");
            JsonDifference.AssertNone(JsonDifference.Between(JsonDocument.Parse(output).RootElement, JsonDocument.Parse(output2).RootElement));
            Assert.All(dropped.Names, dropping => Assert.False(string.IsNullOrWhiteSpace(dropping)));
        }
    }

    /// <summary>Decodes a request and encodes it.</summary>
    /// <returns>Why it was refused, or null; what was written; what could not be.</returns>
    /// <param name="from">The client's dialect.</param>
    /// <param name="to">The provider's.</param>
    /// <param name="body">The request.</param>
    /// <param name="provider">The provider's id.</param>
    /// <param name="model">Its name of the model; null: the client's.</param>
    internal static (string? Refusal, byte[] Output, DropReport Dropped) Translate(string from, string to, byte[] body, string provider = "fake", string? model = null)
    {
        var codec = TrafficRows.DialectOf(from);
        var dropped = new DropReport { Client = from };
        var fields = new RoutedFields { Choices = 1 };
        var error = codec.Scan(body, ref fields);
        NeutralRequest? request = null;
        error ??= codec.Decode(body, fields.Stream, out request);
        if (error is not null)
        {
            return ($"{error.Status} {error.Code} at {error.Field ?? "-"}: {error.Message}", [], dropped);
        }
        var output = new ArrayBufferWriter<byte>();
        error = TrafficRows.DialectOf(to).Encode(request!, new EncodeTarget
        {
            Provider = new Provider { Id = provider, Dialect = to, Origin = "test" },
            Model = model ?? (fields.Model.Exists ? new JsonText(body.AsMemory(fields.Model.Offset, fields.Model.Length)).ToString() : "model-w"),
            MaxOutputTokens = 4096,
            Dropped = dropped,
        }, output);
        return (error is null ? null : $"{error.Status} {error.Code} at {error.Field ?? "-"}: {error.Message}", output.WrittenSpan.ToArray(), dropped);
    }
}
