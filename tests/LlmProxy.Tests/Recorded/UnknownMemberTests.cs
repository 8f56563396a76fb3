using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Relay;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>A member that nobody knows, put into each object of each request and answer in turn: it goes on, or it is reported. Nothing is lost in silence.</summary>
public sealed class UnknownMemberTests
{
    private const string Member = "newcomer";

    [Theory]
    [MemberData(nameof(TrafficRows.Requests), MemberType = typeof(TrafficRows))]
    public void Request_WithAnUnknownMember_KeepsOrReportsIt(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        var silent = new List<string>();
        foreach (var target in RecordedTraffic.Dialects.Where(target => KnownDialects.Find(target) is not null))
        {
            foreach (var (path, changed) in WithTheMember(body))
            {
                var (refusal, output, dropped) = RequestRoundTripTests.Translate(dialect, target, changed);
                var isKept = output.AsSpan().IndexOf(Encoding.UTF8.GetBytes(Member)) >= 0;
                if (refusal is not null || isKept)
                {
                    continue;
                }
                if (dialect == target)
                {
                    silent.Add($"{target}: {path[^1]} did not come back");
                }
                else if (!dropped.Names.Any(loss => loss.Contains(Member, StringComparison.Ordinal) || path.Contains(loss, StringComparer.Ordinal)))
                {
                    silent.Add($"{target}: {path[^1]}; reported: {string.Join(", ", dropped.Names)}");
                }
            }
        }

        Assert.True(silent.Count == 0, string.Join('\n', silent));
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Completes), MemberType = typeof(TrafficRows))]
    public void Answer_WithAnUnknownMember_KeepsOrReportsIt(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        var from = TrafficRows.DialectOf(dialect);
        var silent = new List<string>();
        foreach (var target in RecordedTraffic.Dialects.Where(target => KnownDialects.Find(target) is not null))
        {
            var to = TrafficRows.DialectOf(target);
            foreach (var (path, changed) in WithTheMember(body).Where(place => !place.Path.Any(name => IsConverted(dialect, name))))
            {
                var (status, _, output, dropped, _) = Replay.Translate(from, to, "application/json", changed, stream: false, Replay.AnyRequest(to, stream: false));
                if (status != StreamStatus.Completed || output.AsSpan().IndexOf(Encoding.UTF8.GetBytes(Member)) >= 0)
                {
                    continue;
                }
                if (!dropped.Names.Any(loss => loss.Contains(Member, StringComparison.Ordinal) || path.Contains(loss, StringComparer.Ordinal)))
                {
                    silent.Add($"{target}: {path[^1]}; reported: {string.Join(", ", dropped.Names)}");
                }
            }
        }

        Assert.True(silent.Count == 0, string.Join('\n', silent));
    }

    /// <summary>Whether an object of an answer is told in other words, or repeats the request: what is used, what is cited, and the settings of a response.</summary>
    private static bool IsConverted(string dialect, string path) =>
        path is "usage" or "usageMetadata" or "metrics" || path.EndsWith(".groundingMetadata", StringComparison.Ordinal) || path.EndsWith(".citations[]", StringComparison.Ordinal)
        || path.EndsWith(".annotations[]", StringComparison.Ordinal) || path.EndsWith(".input", StringComparison.Ordinal)
        || (dialect == RecordedTraffic.OpenAiResponses && path is "metadata" or "reasoning" or "text" or "incomplete_details");

    /// <summary>The request once for each of its objects, with the member in it, and what the object and all that it stands in may be called where they are lost as a whole.</summary>
    private static IEnumerable<(IReadOnlyList<string> Path, byte[] Body)> WithTheMember(byte[] body)
    {
        var places = new List<IReadOnlyList<string>>();
        Walk(JsonNode.Parse(body)!, "", [], (_, path) => places.Add(path));
        for (var i = 0; i < places.Count; i++)
        {
            var root = JsonNode.Parse(body)!;
            var at = 0;
            Walk(root, "", [], (json, _) =>
            {
                if (at++ == i)
                {
                    json[Member] = new JsonObject { ["x"] = 1 };
                }
            });
            yield return (places[i], Encoding.UTF8.GetBytes(root.ToJsonString()));
        }
    }

    private static void Walk(JsonNode node, string path, IReadOnlyList<string> above, Action<JsonObject, IReadOnlyList<string>> found)
    {
        if (node is JsonObject json)
        {
            var members = json.Where(member => member.Value is JsonObject or JsonArray).ToList();
            // Parts of a tool's result are spoken of like those of the message, and blocks by their type, or by their one member.
            path = path.Replace("content[].content[]", "content[]", StringComparison.Ordinal).Replace("content[].toolResult.content[]", "content[]", StringComparison.Ordinal);
            IReadOnlyList<string> names = [.. above, $"{path}.{json["type"]}", $"{path}.{json.FirstOrDefault().Key}", $"content[].{json["type"]}", path];
            found(json, names);
            foreach (var (name, value) in members)
            {
                Walk(value!, path.Length == 0 ? name : $"{path}.{name}", names, found);
            }
        }
        else if (node is JsonArray array)
        {
            foreach (var element in array.OfType<JsonNode>().ToList())
            {
                Walk(element, path + "[]", [.. above, path], found);
            }
        }
    }
}
