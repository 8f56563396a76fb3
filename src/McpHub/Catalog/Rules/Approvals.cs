using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Catalog.Rules;

/// <summary>Asks the person behind a client before a call, and remembers what the person wants remembered.</summary>
internal sealed class Approvals(TimeProvider clock)
{
    /// <summary>The most questions of one key that are open at once.</summary>
    public const int MaxOpen = 32;

    /// <summary>The most approvals that are remembered; beyond it the oldest are forgotten, and the person is asked again.</summary>
    public const int MaxRemembered = 10_000;

    private readonly ConcurrentDictionary<Remembered, long> remembered = new();
    private readonly ConcurrentDictionary<string, int> open = new(StringComparer.Ordinal);
    private long order;

    /// <summary>Asks, unless a remembered approval stands for the answer.</summary>
    /// <param name="peer">The client.</param>
    /// <param name="key">Id of the key that calls.</param>
    /// <param name="tool">What is called.</param>
    /// <param name="approval">What its manifest wants.</param>
    /// <param name="arguments">The arguments as the caller sent them.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Null: the call may go on. Otherwise a short code of why not, and the words for the caller.</returns>
    public async ValueTask<(string Code, string Words)?> AskAsync(IClientPeer? peer, string key, CatalogTool tool, Approval approval, ReadOnlyMemory<byte> arguments, CancellationToken cancellationToken)
    {
        if (peer is null || !peer.Can("elicitation.form"))
        {
            return ("approval_impossible", $"Tool '{tool.ExposedName}' is called only after a person has agreed, and this client cannot ask its person: it does not offer elicitation. Nothing was done.");
        }
        var memory = approval.Memory == ApprovalMemory.Session && peer.SessionId is { } session ? MemoryOf(key, session, tool) : (Remembered?)null;
        if (memory is { } known && remembered.ContainsKey(known))
        {
            return null;
        }
        if (open.AddOrUpdate(key, 1, static (_, count) => count + 1) > MaxOpen)
        {
            Close(key);
            return ("approval_busy", string.Create(CultureInfo.InvariantCulture, $"{MaxOpen} calls of this key wait for a person's answer already. Nothing was done; try again later."));
        }
        try
        {
            return await AskAsync(peer, tool, approval, memory, arguments, cancellationToken);
        }
        finally
        {
            Close(key);
        }
    }

    private async ValueTask<(string Code, string Words)?> AskAsync(IClientPeer peer, CatalogTool tool, Approval approval, Remembered? memory, ReadOnlyMemory<byte> arguments, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(approval.Timeout, clock, cancellationToken);
        ToolCallOutcome answer;
        try
        {
            answer = await peer.AskAsync("elicitation/create", Question(tool, memory is not null, arguments.Span), deadline.Token);
        }
        catch (OperationCanceledException) when (deadline.HasPassed)
        {
            return TimedOut(tool, approval);
        }
        deadline.ThrowIfCallerLeft();
        if (deadline.HasPassed)
        {
            return TimedOut(tool, approval);
        }
        if (answer.IsError)
        {
            return ("approval_failed", $"Tool '{tool.ExposedName}' is called only after a person has agreed, and the client failed to ask. Nothing was done.");
        }
        switch (JsonMembers.FindString(answer.Result.Span, "action"u8))
        {
            case "accept":
                if (memory is { } wanted && JsonMembers.IsTrue(JsonMembers.FindObject(answer.Result.Span, "content"u8), "remember"u8))
                {
                    Remember(wanted);
                }
                return null;
            case "decline":
                return ("approval_declined", $"The person who was asked declined the call of '{tool.ExposedName}'. Nothing was done. Do not try again unless the person asks for it.");
            case "cancel":
                return ("approval_cancelled", $"The person who was asked whether '{tool.ExposedName}' may be called closed the question without an answer. Nothing was done.");
            default:
                return ("approval_failed", $"Tool '{tool.ExposedName}' is called only after a person has agreed, and the client's answer says neither yes nor no. Nothing was done.");
        }
    }

    private static (string, string) TimedOut(CatalogTool tool, Approval approval) => ("approval_timeout",
        string.Create(CultureInfo.InvariantCulture, $"Nobody answered within {approval.Timeout.TotalSeconds:0} s whether '{tool.ExposedName}' may be called. Nothing was done."));

    private static ReadOnlyMemory<byte> Question(CatalogTool tool, bool offersMemory, ReadOnlySpan<byte> arguments)
    {
        var output = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteString("message", $"Allow the call of tool \"{VisibleText.Of(tool.UpstreamName, 128)}\" of server \"{VisibleText.Of(tool.Server.Id, 64)}\"?\n{ShownArguments.Of(arguments)}");
        json.WriteStartObject("requestedSchema");
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        if (offersMemory)
        {
            json.WriteStartObject("remember");
            json.WriteString("type", "boolean");
            json.WriteString("title", "Do not ask again in this session");
            json.WriteString("description", "Allows all further calls of this tool in this session, whatever their arguments.");
            json.WriteBoolean("default", false);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    // A tool that its server redefines, or a manifest changes, is another one to the person who allowed it.
    private static Remembered MemoryOf(string key, string session, CatalogTool tool) =>
        new(key, session, tool.Server.Id, tool.UpstreamName, Convert.ToHexString(SHA256.HashData(tool.Definition.Span)));

    private void Remember(Remembered approval)
    {
        remembered[approval] = Interlocked.Increment(ref order);
        if (remembered.Count > MaxRemembered)
        {
            foreach (var old in remembered.OrderBy(pair => pair.Value).Take(MaxRemembered / 10).ToList())
            {
                remembered.TryRemove(old);
            }
        }
    }

    private void Close(string key)
    {
        while (true)
        {
            var count = open[key];
            if (count == 1 ? open.TryRemove(KeyValuePair.Create(key, 1)) : open.TryUpdate(key, count - 1, count))
            {
                return;
            }
        }
    }

    private readonly record struct Remembered(string Key, string Session, string Server, string Tool, string Definition);
}
