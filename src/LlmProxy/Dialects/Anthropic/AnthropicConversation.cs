using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Writes the turns of a conversation as Anthropic wants them: users and assistants by turns, the results of tools first in the user's turn after their calls, leading
/// system messages at the top.
/// </summary>
internal sealed class AnthropicConversation
{
    private readonly NeutralRequest request;
    private readonly AnthropicPartWriter parts;
    private readonly DropReport dropped;
    private readonly ClaudeModel model;
    private readonly bool isOwn;
    private readonly List<NeutralMessage> leading = [];
    private readonly List<Turn> turns = [];

    public AnthropicConversation(NeutralRequest request, ClaudeModel model, CacheBreakpoints breakpoints, DropReport dropped)
    {
        (this.request, this.model, this.dropped) = (request, model, dropped);
        isOwn = request.Source == DialectIds.Anthropic;
        parts = new AnthropicPartWriter(isOwn, breakpoints, dropped);
        Arrange();
    }

    /// <summary>Whether the last turn answers calls of an assistant's turn that does not begin with the thoughts that led to them.</summary>
    public bool LacksThoughts =>
        turns.Count >= 2 && turns[^1].Results.Count > 0 && turns[^2] is { Role: NeutralRole.Assistant } called && !called.Parts.Exists(piece => piece.Part is ReasoningPart);

    /// <summary>Writes <c>system</c> and <c>messages</c>.</summary>
    public void Write(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        var system = leading.SelectMany(message => message.Parts).Where(part => IsExpressible(part, NeutralRole.System)).ToList();
        if (system.Count > 0)
        {
            json.Name("system"u8);
            var isShort = isOwn ? leading is [{ IsShort: true }] : system is [TextPart { Cache: null }];
            WriteContent(output, [.. system.Select(part => new Piece(part, IsSystem: false))], isShort);
        }
        json.Name("messages"u8);
        output.WriteByte((byte)'[');
        var first = true;
        foreach (var turn in turns)
        {
            AnthropicRequestEncoder.Separate(output, ref first);
            WriteTurn(output, turn);
        }
        output.WriteByte((byte)']');
    }

    private void Arrange()
    {
        var messages = request.Messages;
        var at = 0;
        while (at < messages.Count && messages[at].Role is NeutralRole.System or NeutralRole.Developer)
        {
            leading.Add(messages[at++]);
        }
        if (at == messages.Count && leading.Count > 0 && !isOwn)
        {
            leading.RemoveAt(leading.Count - 1); // there must be a message; the last instruction is the nearest to one
            at--;
        }
        NeutralMessage? before = null;
        foreach (var message in messages.Skip(at))
        {
            Add(message, before);
            before = message;
        }
        if (isOwn)
        {
            return;
        }
        if (turns is [{ Role: NeutralRole.Assistant }, ..])
        {
            turns.Insert(0, new Turn(NeutralRole.User) { Parts = { Words("(The conversation begins with the assistant.)") } });
            dropped.Add("messages[0].role");
        }
        for (var i = turns.Count - 1; i >= 0; i--)
        {
            SeparateInstructions(i);
        }
    }

    private void Add(NeutralMessage message, NeutralMessage? before)
    {
        var isSystem = message.Role is NeutralRole.System or NeutralRole.Developer;
        var role = message.Role == NeutralRole.Assistant ? NeutralRole.Assistant : isSystem && isOwn ? NeutralRole.System : NeutralRole.User;
        var pieces = message.Parts.Where(part => IsExpressible(part, message.Role)).Select(part => new Piece(part, isSystem && !isOwn)).ToList();
        if (!isOwn && message.Name.Exists)
        {
            dropped.Add("messages[].name");
        }
        if (pieces.Count == 0 && !isOwn)
        {
            if (role == NeutralRole.Assistant || message.Role != NeutralRole.User)
            {
                return;
            }
            pieces.Add(Words("(An empty message.)")); // it was a turn, and there can be none without content
        }
        var joins = turns.Count > 0 && turns[^1].Role == role && (!isOwn || (before is not null && (before.Role == NeutralRole.Tool) != (message.Role == NeutralRole.Tool)));
        if (!joins)
        {
            turns.Add(new Turn(role) { IsShort = message.IsShort });
        }
        var turn = turns[^1];
        turn.IsShort &= !joins;
        if (!isOwn)
        {
            turn.Results.AddRange(pieces.Where(piece => piece.Part is ToolResultPart));
            turn.Parts.AddRange(pieces.Where(piece => piece.Part is not ToolResultPart));
        }
        else
        {
            turn.Extensions.Add(message.Extensions);
            turn.Parts.AddRange(pieces);
        }
    }

    /// <summary>
    /// Instructions amid the conversation: at the end of a user's turn they become a system message where the model takes them there; elsewhere they stay where they stood,
    /// as marked text of the user's.
    /// </summary>
    private void SeparateInstructions(int index)
    {
        var turn = turns[index];
        var pieces = turn.Parts;
        if (turn.Role != NeutralRole.User || !pieces.Exists(piece => piece.IsSystem))
        {
            return;
        }
        var from = pieces.Count;
        while (from > 0 && pieces[from - 1].IsSystem)
        {
            from--;
        }
        if (model.TakesSystemMessages && from < pieces.Count && from + turn.Results.Count > 0)
        {
            var instructions = new Turn(NeutralRole.System);
            instructions.Parts.AddRange(pieces.Skip(from).Select(piece => piece with { IsSystem = false }));
            pieces.RemoveRange(from, pieces.Count - from);
            turns.Insert(index + 1, instructions);
        }
        if (pieces.Exists(piece => piece.IsSystem))
        {
            dropped.Add("messages[].role");
        }
    }

    private bool IsExpressible(NeutralPart part, NeutralRole role)
    {
        switch (part)
        {
            case TextPart text when text.Text.IsBlank && !isOwn:
                return false; // nothing is lost: an empty block is refused
            case RefusalPart { Text.IsBlank: true }:
                return false;
            case ReasoningPart reasoning when reasoning.Signature is not { Family: SignatureFamilies.Anthropic }:
                dropped.Add("messages[].reasoning");
                return false;
            case NativePart native when !isOwn:
                dropped.Add(UnknownMembers.PathOf(native, role));
                return false;
            case not TextPart when role is NeutralRole.System or NeutralRole.Developer && !isOwn:
                dropped.Add("messages[role=system].content[]");
                return false;
            default:
                return true;
        }
    }

    private void WriteTurn(IBufferWriter<byte> output, Turn turn)
    {
        var json = new JsonObjectWriter(output);
        json.Raw("role"u8, turn.Role switch { NeutralRole.Assistant => "\"assistant\""u8, NeutralRole.System => "\"system\""u8, _ => "\"user\""u8 });
        json.Name("content"u8);
        List<Piece> pieces = [.. turn.Results, .. turn.Parts];
        WriteContent(output, pieces, isOwn ? turn.IsShort : pieces is [{ Part: TextPart { Cache: null, Citations.Count: 0 }, IsSystem: false }]);
        foreach (var bag in turn.Extensions)
        {
            json.Members(bag);
        }
        json.End();
    }

    private void WriteContent(IBufferWriter<byte> output, List<Piece> pieces, bool isShort)
    {
        if (isShort && pieces is [{ Part: TextPart { Text: var only } }])
        {
            output.WriteText(only);
            return;
        }
        output.WriteByte((byte)'[');
        var first = true;
        foreach (var (part, isSystem) in pieces)
        {
            AnthropicRequestEncoder.Separate(output, ref first);
            parts.Write(output, part, isSystem);
        }
        output.WriteByte((byte)']');
    }

    private static Piece Words(string text) => new(new TextPart { Text = JsonText.From(text) }, IsSystem: false);

    /// <summary>A part of a turn.</summary>
    /// <param name="Part">The part.</param>
    /// <param name="IsSystem">Whether it is an instruction that has to stand in a user's turn.</param>
    private readonly record struct Piece(NeutralPart Part, bool IsSystem);

    private sealed class Turn(NeutralRole role)
    {
        public NeutralRole Role { get; } = role;

        /// <summary>The results of tools, which come first.</summary>
        public List<Piece> Results { get; } = [];

        public List<Piece> Parts { get; } = [];

        public List<ExtensionBag> Extensions { get; } = [];

        /// <summary>Whether this very dialect wrote it as a plain string.</summary>
        public bool IsShort { get; set; }
    }
}
